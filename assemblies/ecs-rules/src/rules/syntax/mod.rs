//! Rules about the text of a document.

use crate::rules::Rule;

mod y01_syntax;
mod y02_duplicate_key;
pub(crate) mod y03_placeholder;

/// The rules of group Y.
pub(super) static RULES: &[Rule] = &[
    y01_syntax::RULE,
    y02_duplicate_key::RULE,
    y03_placeholder::RULE,
];
