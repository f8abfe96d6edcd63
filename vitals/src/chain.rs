//! An error in one line.

use std::error::Error;

/// Returns an error with all its sources, for a log or a person. Many errors of libraries already have their
/// source in their text; it is not repeated.
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
    enum TestError {
        #[error("cannot be written")]
        Outer(#[source] Box<TestError>),
        #[error("disk: {0}")]
        Repeats(#[source] Box<TestError>),
        #[error("full")]
        Inner,
    }

    #[test]
    fn every_source_is_shown_once() {
        let inner = || Box::new(TestError::Inner);
        assert_eq!(chain(&TestError::Inner), "full");
        assert_eq!(
            chain(&TestError::Outer(Box::new(TestError::Outer(inner())))),
            "cannot be written: full"
        );
        assert_eq!(
            chain(&TestError::Outer(Box::new(TestError::Repeats(inner())))),
            "cannot be written: disk: full"
        );
    }
}
