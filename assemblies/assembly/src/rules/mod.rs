//! The rules for manifests, components and lock files: one file per rule.
//!
//! A rule's file contains its texts, a passing and a failing example, and the functions that build its findings. The
//! stage that has the data runs the check.

use task_definition::{Finding, Location, Severity};

pub mod example;

pub(crate) mod m01_unknown_field;
pub(crate) mod m02_wrong_type;
pub(crate) mod m03_missing_field;
pub(crate) mod m04_invalid_name;
pub(crate) mod m05_unknown_component;
pub(crate) mod m06_duplicate_component;
pub(crate) mod m07_wrong_role;
pub(crate) mod m08_protocol_mismatch;
pub(crate) mod m09_unmet_requirement;
pub(crate) mod m10_unknown_setting;
pub(crate) mod m11_wrong_setting_type;
pub(crate) mod m12_missing_setting;
pub(crate) mod m13_plaintext_secret;
pub(crate) mod m14_undefined_value;
pub(crate) mod m15_service_or_on_demand;
pub(crate) mod m16_invalid_task_count;
pub(crate) mod m17_not_in_task;
pub(crate) mod m18_inconsistent_component;
pub(crate) mod m19_unresolved_permission;
pub(crate) mod m20_unsupported_run_mode;
pub(crate) mod m21_port_conflict;
pub(crate) mod m22_exposed_inner_hop;
pub(crate) mod m23_opaque_settings;
pub(crate) mod m24_unknown_rule;
pub(crate) mod m25_unused_suppression;
pub(crate) mod m26_unsuppressible_rule;
pub(crate) mod m27_missing_reason;
pub(crate) mod m28_invalid_setting_value;
pub(crate) mod m30_value_cycle;
pub(crate) mod m31_possible_secret;
pub(crate) mod m32_unused_value;
pub(crate) mod m33_task_too_large;
pub(crate) mod m34_wildcard_resource;
pub(crate) mod m35_wildcard_action;
pub(crate) mod m36_invalid_kms_key;
pub(crate) mod m37_unsupported_load_balancer;
pub(crate) mod m38_invalid_resolution;
pub(crate) mod m39_scaling_without_range;
pub(crate) mod m40_trigger_loop;
pub(crate) mod m41_unreported_failure;
pub(crate) mod m42_unknown_trigger_field;
pub(crate) mod m43_overrides_too_long;
pub(crate) mod m44_unknown_stack_section;
pub(crate) mod m50_not_locked;
pub(crate) mod m51_stale_lock;
pub(crate) mod m52_invalid_lock_entry;

pub use m14_undefined_value::missing_values;
pub use m32_unused_value::unused_value;

/// A rule for manifests, components or lock files.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The id. Its meaning never changes.
    pub id: &'static str,
    /// The name in kebab case: `unknown-field`.
    pub name: &'static str,
    /// The fault, in one line.
    pub title: &'static str,
    /// Why the rule exists and what happens without it.
    pub explanation: &'static str,
    /// The document that the rule follows: an AWS page or a page of this project.
    pub source: &'static str,
    /// How to fix a finding, in general.
    pub hint: &'static str,
    /// A file without findings.
    pub passing: &'static str,
    /// A file with a finding of this rule and of no other.
    pub failing: &'static str,
}

impl Rule {
    fn error(
        &self,
        location: Location,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        Finding::error(self.id, location, message, hint)
    }

    fn warning(
        &self,
        location: Location,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..self.error(location, message, hint)
        }
    }
}

/// Returns every rule, sorted by id.
pub fn rules() -> &'static [Rule] {
    RULES
}

/// Returns the rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().iter().find(|rule| rule.id == id)
}

/// Returns the default severity of a rule.
pub fn severity(id: &str) -> Severity {
    if WARNINGS.contains(&id) {
        Severity::Warning
    } else {
        Severity::Error
    }
}

/// Returns whether a rule can be suppressed, because there is a result despite its findings.
///
/// Most ECS rules check a finished definition; only a few of the manifest rules do.
pub fn is_suppressible(id: &str) -> bool {
    match rule(id) {
        // Warnings never prevent a result, so all of them can be suppressed.
        Some(_) => SUPPRESSIBLE.contains(&id) || severity(id) == Severity::Warning,
        None => !FATAL.contains(&id),
    }
}

/// Returns whether a rule protects the task from unauthorized access.
///
/// A suppressed finding of such a rule is reported on every run.
pub fn is_security_rule(id: &str) -> bool {
    SECURITY_RULES.contains(&id)
}

/// Rules with findings that do not prevent a deployment, but lead to problems later.
const WARNINGS: &[&str] = &["M25", "M31", "M32", "M34", "M35", "M39", "M41"];

/// Rules with errors that can be suppressed.
const SUPPRESSIBLE: &[&str] = &["M17", "M22", "M23", "M40", "M50", "M51"];

/// ECS rules that leave nothing to check: the text cannot be parsed, or a value has the wrong type.
const FATAL: &[&str] = &["Y01", "Y02", "C06", "D05"];

/// Rules that protect the task from unauthorized access.
const SECURITY_RULES: &[&str] = &["M22", "M23"];

static RULES: &[Rule] = &[
    m01_unknown_field::RULE,
    m02_wrong_type::RULE,
    m03_missing_field::RULE,
    m04_invalid_name::RULE,
    m05_unknown_component::RULE,
    m06_duplicate_component::RULE,
    m07_wrong_role::RULE,
    m08_protocol_mismatch::RULE,
    m09_unmet_requirement::RULE,
    m10_unknown_setting::RULE,
    m11_wrong_setting_type::RULE,
    m12_missing_setting::RULE,
    m13_plaintext_secret::RULE,
    m14_undefined_value::RULE,
    m15_service_or_on_demand::RULE,
    m16_invalid_task_count::RULE,
    m17_not_in_task::RULE,
    m18_inconsistent_component::RULE,
    m19_unresolved_permission::RULE,
    m20_unsupported_run_mode::RULE,
    m21_port_conflict::RULE,
    m22_exposed_inner_hop::RULE,
    m23_opaque_settings::RULE,
    m24_unknown_rule::RULE,
    m25_unused_suppression::RULE,
    m26_unsuppressible_rule::RULE,
    m27_missing_reason::RULE,
    m28_invalid_setting_value::RULE,
    m30_value_cycle::RULE,
    m31_possible_secret::RULE,
    m32_unused_value::RULE,
    m33_task_too_large::RULE,
    m34_wildcard_resource::RULE,
    m35_wildcard_action::RULE,
    m36_invalid_kms_key::RULE,
    m37_unsupported_load_balancer::RULE,
    m38_invalid_resolution::RULE,
    m39_scaling_without_range::RULE,
    m40_trigger_loop::RULE,
    m41_unreported_failure::RULE,
    m42_unknown_trigger_field::RULE,
    m43_overrides_too_long::RULE,
    m44_unknown_stack_section::RULE,
    m50_not_locked::RULE,
    m51_stale_lock::RULE,
    m52_invalid_lock_entry::RULE,
];
