//! An error in one line.

use std::error::Error;

/// Returns an error with everything it came from, for a log or a person. Many errors of libraries have
/// their source in their own text already: what is there is not repeated.
pub fn chain(err: &dyn Error) -> String {
    let mut text = err.to_string();
    let mut next = err.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Trouble {
        #[error("cannot be written")]
        Outer(#[source] Box<Trouble>),
        #[error("disk: {0}")]
        Repeats(#[source] Box<Trouble>),
        #[error("full")]
        Inner,
    }

    #[test]
    fn every_source_is_told_and_none_twice() {
        let inner = || Box::new(Trouble::Inner);
        assert_eq!(chain(&Trouble::Inner), "full");
        assert_eq!(
            chain(&Trouble::Outer(Box::new(Trouble::Outer(inner())))),
            "cannot be written: full"
        );
        assert_eq!(
            chain(&Trouble::Outer(Box::new(Trouble::Repeats(inner())))),
            "cannot be written: disk: full"
        );
    }
}
