//! What a finding needs to know about its rule.

use crate::finding::Finding;
use crate::location::Location;

/// The id and the source of a rule.
///
/// The parser and the readers report a few rules before any check runs. They hold a `RuleRef`, and the complete
/// description of the rule is in the crate that lists the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleRef {
    /// The id of the rule.
    pub id: &'static str,
    /// The documentation that states the rule.
    pub source: &'static str,
}

impl RuleRef {
    /// Creates a finding of this rule with severity error.
    pub fn error(
        self,
        location: Location,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        Finding::error(self.id, location, message, hint).with_source(self.source)
    }
}
