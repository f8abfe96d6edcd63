//! The decisions of Dockfleet, as pure functions over data.
//!
//! Two halves that share the entry of an assignment:
//!
//! - for the controller: which hosts a resource selects ([`select`], [`term`]), how it is rendered for each
//!   of them ([`render`]), the assignment of one host ([`assignment`]), and the sum of the reports of all
//!   hosts ([`aggregate`]);
//! - for the agent: the actions for an entry on an engine ([`plan`]).
//!
//! Each kind of object has a folder in [`kinds`] with everything that both halves need.
//!
//! This crate never does I/O, never reads the clock, never draws a random number, and has no client of
//! Kubernetes or Docker: everything that it needs is an argument.

pub mod action;
pub mod address;
pub mod aggregate;
pub mod assignment;
pub mod brake;
pub mod capability;
pub mod credentials;
pub mod desired;
mod diff;
pub mod directive;
pub mod examination;
#[cfg(test)]
mod fixtures;
pub mod kinds;
pub mod observed;
mod options;
pub mod plan;
pub mod record;
pub mod render;
pub mod request;
pub mod resource;
pub mod retention;
mod secret;
pub mod select;
pub mod support;
pub mod term;
