//! What the parser says of a text that is no YAML, in words of people who write it.

use granit_parser::ErrorKind;

/// Returns what is wrong and what would be right.
pub(super) fn sentence(kind: &ErrorKind) -> String {
    let known = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => "a tab cannot stand here; write spaces",
        ErrorKind::UnknownAnchor => {
            "the alias (*name) has no anchor (&name) before it in this document; write the anchor first, or \
             put a text that begins with * into quotes"
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "a colon with a space behind it cannot stand here; put a text that holds one into quotes, and look \
             at the indentation"
        }
        ErrorKind::UnclosedQuotedScalar => "a quote is not closed",
        ErrorKind::InvalidQuotedScalarIndent => {
            "a quote is not closed, or the text in it goes on in a line that is not indented"
        }
        ErrorKind::UnexpectedEof
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping => "the text ends before a bracket is closed",
        ErrorKind::UnclosedFlowCollection { open } => {
            return format!("the bracket {open} is not closed");
        }
        ErrorKind::RecursionLimitExceeded => return super::limits::too_deep(),
        ErrorKind::InvalidSimpleKey | ErrorKind::SimpleKeyExpected => {
            "a field has a name, a colon and a space, all in one line, and a name is at most 1024 characters long"
        }
        ErrorKind::ExpectedBlockMappingKey => {
            "a field such as name: value is wanted here; look at the indentation"
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            "an item that begins with - is wanted here; look at the indentation"
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => {
            "a comma or the closing bracket is wanted here"
        }
        ErrorKind::UnexpectedCharacter { character } => {
            return format!(
                "the character {character:?} cannot begin a value; put the value into quotes"
            );
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            "there is no such escape; in double quotes a backslash is written \\\\, in single quotes as it is"
        }
        other => return format!("this is no YAML: {other}"),
    };
    known.to_owned()
}
