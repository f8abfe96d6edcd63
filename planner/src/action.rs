//! What an agent does to an engine for one entry.

use crate::kinds::{Action, DesiredObject, ObservedObject};

/// A change of one object, which takes one call to the engine. A replacement is a removal and a create.
#[derive(Clone, Debug, PartialEq)]
pub enum ObjectAction<D, C> {
    /// Create the object, with these labels and no others.
    Create(Box<D>),
    /// Remove the object, if nothing uses it.
    Remove {
        /// Its identity.
        id: String,
        /// Its name; volumes are removed by name.
        name: String,
        /// Its driver.
        driver: String,
    },
    /// Change the object in place.
    Update {
        /// Its name.
        name: String,
        /// Its driver.
        driver: String,
        /// The change.
        change: C,
    },
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// It is created.
    Create,
    /// It is removed and created again.
    Replace,
    /// It is removed.
    Remove,
    /// It is changed in place.
    Update,
}

impl Operation {
    /// Returns the operation that a list of actions amounts to, if any.
    pub fn of(actions: &[Action]) -> Option<Self> {
        let removes = actions.iter().any(|a| a.removes().is_some());
        let creates = actions.iter().any(|a| a.creates().is_some());
        match (removes, creates) {
            (false, false) if actions.is_empty() => None,
            (false, false) => Some(Self::Update),
            (false, true) => Some(Self::Create),
            (true, true) => Some(Self::Replace),
            (true, false) => Some(Self::Remove),
        }
    }

    /// Returns the operation in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Update => "update",
        }
    }
}

/// The parts of an action that every kind has.
pub trait ActionInfo {
    /// Returns the name of the object.
    fn object(&self) -> &str;

    /// Returns the engine's driver that it needs.
    fn driver(&self) -> &str;

    /// Returns the identity and the name of the object that it removes, if any.
    fn removes(&self) -> Option<(&str, &str)>;

    /// Returns the object that it creates, if any.
    fn creates(&self) -> Option<&dyn DesiredObject>;
}

impl<D: DesiredObject, C> ObjectAction<D, C> {
    pub(crate) fn remove(object: &impl ObservedObject) -> Self {
        Self::Remove {
            id: object.id(),
            name: object.name().to_owned(),
            driver: object.driver().to_owned(),
        }
    }
}

impl<D: DesiredObject, C> ActionInfo for ObjectAction<D, C> {
    fn object(&self) -> &str {
        match self {
            Self::Create(desired) => desired.name(),
            Self::Remove { name, .. } | Self::Update { name, .. } => name,
        }
    }

    fn driver(&self) -> &str {
        match self {
            Self::Create(desired) => desired.driver(),
            Self::Remove { driver, .. } | Self::Update { driver, .. } => driver,
        }
    }

    fn removes(&self) -> Option<(&str, &str)> {
        match self {
            Self::Create(_) | Self::Update { .. } => None,
            Self::Remove { id, name, .. } => Some((id, name)),
        }
    }

    fn creates(&self) -> Option<&dyn DesiredObject> {
        match self {
            Self::Create(desired) => Some(desired.as_ref()),
            Self::Remove { .. } | Self::Update { .. } => None,
        }
    }
}
