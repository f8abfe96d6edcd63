//! What the list of an engine does not show, such as the owner of a volume's folder. To examine it costs calls of
//! its own, so it is done only where it may have changed.

/// What may have changed since the objects of a kind were last examined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Occasion {
    /// Nothing is known to have changed.
    #[default]
    None,
    /// Some time has passed, in which there may have been changes without an event.
    Time,
    /// Containers were created or started, or may have been.
    Containers,
    /// A process has started, which knows of nothing that happened before.
    Start,
}

/// The examination of an object, as it is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    /// The least occasion for it.
    pub least: Occasion,
    /// Name of the object.
    pub name: String,
    /// Identity of the object.
    pub id: String,
}
