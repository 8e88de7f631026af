//! The rule about placeholders, which the parser reports in keys and the readers of documents in values.

use crate::rule_ref::RuleRef;

/// The rule about values that are not filled in.
pub const PLACEHOLDER: RuleRef = RuleRef {
    id: "Y03",
    source: "convention: values of this form are not meant to be registered",
};

/// The hint of findings about placeholders.
pub const HINT: &str = "write the value, or check the file after your tool has filled it in";

/// Returns the message for a placeholder.
pub fn message(placeholder: &str) -> String {
    format!("`{placeholder}` is a placeholder: fill it in")
}
