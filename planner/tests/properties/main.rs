//! Properties of planning and assigning, over generated worlds.
//!
//! `state` plans once over any mixture of entries, objects and journal, however unlikely; `history`
//! lets a model of an agent live through eras of assignments, accidents and crashes on a model of an
//! engine; `assigning` is about the controller's half.

mod agent;
mod assigning;
mod engine;
mod history;
mod state;
mod wishes;
