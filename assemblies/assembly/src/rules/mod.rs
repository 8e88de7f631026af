//! The rules for manifests, components and lock files: one file per rule.
//!
//! A rule's file contains its texts, a passing and a failing example, and the functions that build its findings. The
//! stage that has the data runs the check.

use diagnostics::Severity;
use ecs_rules::Check;

pub use ecs_rules::{Failing, Rule};

pub mod example;

ecs_rules::rule_modules! {
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
    pub(crate) mod m45_fixed_inner_address;
    pub(crate) mod m46_same_names;
    pub(crate) mod m47_scaling_from_zero;
    pub(crate) mod m48_unused_telemetry;
    pub(crate) mod m49_short_idle_timeout;
    pub(crate) mod m50_not_locked;
    pub(crate) mod m51_stale_lock;
    pub(crate) mod m52_invalid_lock_entry;
}

pub use m14_undefined_value::missing_values;
pub use m32_unused_value::unused_value;

/// The defaults of a manifest rule: an error of a stage, without which there is no plan to continue with.
pub(crate) const MANIFEST: Rule = Rule {
    check: Check::Stage,
    suppressible: false,
    ..Rule::DEFAULT
};

/// Returns every rule, sorted by id.
pub fn rules() -> &'static [Rule] {
    RULES
}

/// Returns the rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().iter().find(|rule| rule.id == id)
}

/// Returns whether a rule can be suppressed, because there is a result despite its findings.
pub fn is_suppressible(id: &str) -> bool {
    // Warnings never prevent a result, so all of them can be suppressed.
    find(id).is_none_or(|rule| rule.suppressible || rule.severity == Severity::Warning)
}

/// Returns whether a rule protects the task from unauthorized access.
///
/// A suppressed finding of such a rule is reported on every run.
pub fn is_security_rule(id: &str) -> bool {
    find(id).is_some_and(|rule| rule.guard)
}

/// Returns the manifest rule or ECS rule with this id.
fn find(id: &str) -> Option<&'static Rule> {
    rule(id).or_else(|| ecs_rules::rule(id))
}
