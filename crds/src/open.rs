//! Words of a growing set: a newer controller or agent may write a word that this version does not
//! know.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strum::VariantArray;

/// The most characters of such a word in a resource.
pub const MAX_WORD: usize = 63;

/// A set of words, as this version knows it.
pub trait Word: Copy + VariantArray + Into<&'static str> {}

impl<T: Copy + VariantArray + Into<&'static str>> Word for T {}

/// The metric label of all unknown words: label values are a closed set.
const UNKNOWN: &str = "Unknown";

/// Returns every metric label that [`Open::label`] can return.
pub fn labels<T: Word>() -> impl Iterator<Item = &'static str> {
    let known = T::VARIANTS.iter().map(|word| (*word).into());
    known.chain([UNKNOWN])
}

/// A word of a set, or an unknown word. An unknown word keeps its text, so that it is written back
/// unchanged. In a CRD it is a string and not an enum, because an older CRD would refuse the whole
/// object for one new word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Open<T> {
    /// A word that this version knows.
    Known(T),
    /// Any other word.
    Unknown(String),
}

impl<T: Word> Open<T> {
    /// Reads a word.
    pub fn of(text: &str) -> Self {
        let mut known = T::VARIANTS.iter().copied();
        match known.find(|word| text == (*word).into()) {
            Some(word) => Self::Known(word),
            None => Self::Unknown(text.to_owned()),
        }
    }

    /// Returns the word, if this version knows it.
    pub fn known(&self) -> Option<T> {
        match self {
            Self::Known(word) => Some(*word),
            Self::Unknown(_) => None,
        }
    }

    /// Returns the word as in a resource.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(word) => (*word).into(),
            Self::Unknown(text) => text,
        }
    }

    /// Returns the word as a metric label: `Unknown` if this version does not know it.
    pub fn label(&self) -> &'static str {
        self.known().map_or(UNKNOWN, Into::into)
    }
}

impl<T> From<T> for Open<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

impl<T: Default> Default for Open<T> {
    fn default() -> Self {
        Self::Known(T::default())
    }
}

impl<T: PartialEq> PartialEq<T> for Open<T> {
    fn eq(&self, other: &T) -> bool {
        matches!(self, Self::Known(word) if word == other)
    }
}

impl<T: Word> fmt::Display for Open<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<T: Word> Serialize for Open<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, T: Word> Deserialize<'de> for Open<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Ok(Self::of(&text))
    }
}

impl<T> JsonSchema for Open<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": MAX_WORD})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assignment::{EntryState, Kind, Reason};

    fn read<T: Word>(text: &str) -> Open<T> {
        serde_json::from_value(text.into()).unwrap()
    }

    #[test]
    fn an_unknown_word_keeps_its_text() {
        let unknown = read::<Reason>("MoonPhase");
        assert_eq!(unknown, Open::Unknown("MoonPhase".to_owned()));
        assert_eq!(serde_json::to_value(&unknown).unwrap(), "MoonPhase");
        assert_eq!((unknown.known(), unknown.label()), (None, "Unknown"));
    }

    #[test]
    fn every_known_word_is_read_and_written_unchanged() {
        fn check<T: Word + PartialEq + fmt::Debug>() {
            for word in T::VARIANTS {
                let text: &str = (*word).into();
                assert_eq!(read::<T>(text).known(), Some(*word));
                assert_eq!(serde_json::to_value(Open::from(*word)).unwrap(), text);
            }
        }
        check::<Kind>();
        check::<EntryState>();
        check::<Reason>();
    }
}
