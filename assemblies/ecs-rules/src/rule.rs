//! A rule: its texts, its examples, its check, and how its findings are treated.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use diagnostics::{Finding, Location, Severity};
use task_definition::LocatedDefinition;

use crate::images::{ImageFacts, Inspection};
use crate::launch::LaunchContext;
use crate::report::Report;

/// A rule for task definitions, services or RunTask requests.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The id: the letter of its group and a number. Its meaning never changes.
    pub id: &'static str,
    /// The name in kebab-case, unique among the rules: `unsupported-size`.
    pub name: &'static str,
    /// The severity of its findings.
    pub severity: Severity,
    /// The fault, as a short lower-case phrase.
    pub title: &'static str,
    /// Why the rule exists and what happens if it is violated.
    pub explanation: &'static str,
    /// The documentation or table that states it.
    pub source: &'static str,
    /// How to resolve a finding, in general.
    pub hint: &'static str,
    /// A document that passes every rule.
    pub passing: &'static str,
    /// A document that violates this rule and no other.
    pub failing: Failing,
    /// For a rule about the content of images: what was read of those in the examples, as JSON by image.
    pub images: &'static str,
    /// The check.
    pub check: Check,
    /// Whether its errors may be suppressed or lowered. Warnings always may.
    pub suppressible: bool,
    /// Whether it restricts access to the task. If it is suppressed, every run mentions it.
    pub guard: bool,
    /// Whether it does not apply to a fragment of a definition, which leaves out required values.
    pub needs_whole_definition: bool,
}

impl Rule {
    /// The defaults of the optional fields, for `..Rule::DEFAULT`. The texts are empty and must be given.
    pub const DEFAULT: Self = Self {
        id: "",
        name: "",
        severity: Severity::Error,
        title: "",
        explanation: "",
        source: "",
        hint: "",
        passing: "",
        failing: Failing::Document(""),
        images: "",
        check: Check::Parser,
        suppressible: true,
        guard: false,
        needs_whole_definition: false,
    };

    /// Returns what is known about the images of the examples.
    pub fn example_images(&self) -> ImageFacts {
        let mut facts = ImageFacts::new();
        // Empty for most rules; tests read those of the others.
        let images: BTreeMap<String, Inspection> =
            serde_json::from_str(self.images).unwrap_or_default();
        for (image, inspection) in images {
            facts.insert_inspection(None, image, inspection);
        }
        facts
    }

    /// Returns the failing example as a whole document.
    pub fn failing_document(&self) -> Cow<'static, str> {
        match self.failing {
            Failing::Document(text) => Cow::Borrowed(text),
            Failing::Change(old, new) => Cow::Owned(self.passing.replacen(old, new, 1)),
        }
    }

    /// Creates a finding with the severity and the source of the rule.
    pub fn finding(
        &self,
        location: Location,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: self.severity,
            source: Some(self.source),
            ..Finding::error(self.id, location, message, hint)
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The failing example of a rule.
#[derive(Debug, Clone, Copy)]
pub enum Failing {
    /// A whole document.
    Document(&'static str),
    /// The passing example with the second text in the place of the first, which occurs in it once.
    Change(&'static str, &'static str),
}

/// Declares the modules of rules, one file each, and the list `RULES` of their rules.
///
/// One line registers a rule. `cargo fmt` does not follow modules that a macro declares, so `make lint` passes the
/// files to rustfmt.
#[macro_export]
macro_rules! rule_modules {
    ($($visibility:vis mod $module:ident;)*) => {
        $($visibility mod $module;)*

        /// The rules of these modules, in this order.
        pub(super) static RULES: &[$crate::Rule] = &[$($module::RULE,)*];
    };
}

/// The check of a rule, by the input it reads.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Checks a task definition.
    Definition(fn(&LocatedDefinition, &mut Report<'_>)),
    /// Checks a service or RunTask request beside its task definition.
    Launch(fn(&LaunchContext<'_>, &mut Report<'_>)),
    /// Reported while the text is parsed and read, before any check runs.
    Parser,
    /// Reported by a stage of the caller, such as a step that resolves a manifest.
    Stage,
}
