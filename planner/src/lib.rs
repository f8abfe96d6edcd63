//! The decisions of Dockfleet, as pure functions over data.
//!
//! Two halves that meet in the entry of an assignment:
//!
//! - for the controller: which hosts a resource selects ([`select`], [`term`]), what it renders to on each of
//!   them ([`render`]), what one host's assignment holds ([`assignment`]), and what the reports of
//!   all hosts amount to ([`aggregate`]);
//! - for the agent: what is to be done about an entry on an engine ([`plan`]).
//!
//! What a kind of object is to both of them stands in its folder of [`kinds`].
//!
//! This crate never does I/O, never asks the time, never draws a random number, and knows neither a
//! Kubernetes client nor a Docker client: whatever it needs comes in as an argument.

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
mod secret;
pub mod select;
pub mod support;
pub mod term;
