//! The errors of the parser as messages for authors of YAML.

use granit_parser::ErrorKind;

/// Returns what is wrong, and what is correct.
pub(super) fn sentence(kind: &ErrorKind) -> String {
    let known = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => "a tab is not allowed here; use spaces",
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
            "a quote is not closed, or its text continues on a line that is not indented"
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
            "expected a field here, such as name: value; check the indentation"
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            "expected an item that starts with - here; check the indentation"
        }
        ErrorKind::ExpectedFlowMappingSeparator | ErrorKind::ExpectedFlowSequenceSeparator => {
            "expected a comma or the closing bracket here"
        }
        ErrorKind::UnexpectedCharacter { character } => {
            return format!(
                "the character {character:?} cannot start a value; put the value into quotes"
            );
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            "unknown escape; write a backslash as \\\\ in double quotes, and unchanged in single quotes"
        }
        other => return format!("this is not YAML: {other}"),
    };
    known.to_owned()
}
