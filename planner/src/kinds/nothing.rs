//! What a host has of a resource without an object on hosts: nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DesiredObject, ObservedObject};
use crate::desired::Behaviour;

/// What an entry of a kind, by its number, would ask for. There is no such entry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesiredNothing<const KIND: usize> {
    #[serde(skip)]
    labels: BTreeMap<String, String>,
    #[serde(skip)]
    policy: Behaviour,
}

impl<const KIND: usize> DesiredObject for DesiredNothing<KIND> {
    fn name(&self) -> &'static str {
        ""
    }

    fn driver(&self) -> &'static str {
        ""
    }

    fn policy(&self) -> Behaviour {
        self.policy
    }

    fn policy_mut(&mut self) -> &mut Behaviour {
        &mut self.policy
    }

    fn labels_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.labels
    }
}

/// An object of a kind, by its number, that an engine would show. There is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoObject<const KIND: usize> {}

impl<const KIND: usize> ObservedObject for NoObject<KIND> {
    fn id(&self) -> String {
        match *self {}
    }

    fn name(&self) -> &str {
        match *self {}
    }

    fn driver(&self) -> &str {
        match *self {}
    }

    fn labels(&self) -> &BTreeMap<String, String> {
        match *self {}
    }
}
