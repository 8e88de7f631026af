//! Rules about the text of a document.

crate::rule_modules! {
    mod y01_syntax;
    mod y02_duplicate_key;
    pub(crate) mod y03_placeholder;
}
