//! Rules are suppressed, lowered and raised by id, with a reason, at every stage.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use assembly::{Plan, plan_under, render, rule_config};
use diagnostics::source::Source;
use diagnostics::{Level, LevelOverride, LevelSource, Location, Outcome, RuleConfig, Severity};

mod support;

fn plan_with(text: &str, config: &RuleConfig) -> Result<Plan, Outcome> {
    let source = Source::new("case.yaml", text);
    let catalog = support::catalog("tests/rule-catalog");
    plan_under(&source, &catalog, &support::values(), config)
}

fn plan_without_flags(text: &str) -> Result<Plan, Outcome> {
    plan_with(text, &RuleConfig::default())
}

fn suppressions(plan: &Plan) -> Vec<(&str, &str)> {
    let suppressed = plan.suppressed_findings().iter();
    suppressed
        .map(|suppressed| {
            let reason = suppressed.level_override.reason.as_str();
            (suppressed.finding.rule, reason)
        })
        .collect()
}

fn flag(rule: &str, level: Level) -> RuleConfig {
    RuleConfig::new([LevelOverride {
        rule: rule.to_owned(),
        level,
        reason: "a flag".to_owned(),
        source: LevelSource::CommandLine,
        location: Location::Pointer(String::new()),
        files: Vec::new(),
    }])
}

#[test]
fn a_suppressed_error_of_a_finished_definition_does_not_fail_the_plan() {
    let text = "name: shop\napp: web\nservice: {}\npatch: { networkMode: bridge }\n";
    let outcome = plan_without_flags(text).expect_err("T04");
    assert!(outcome.findings.iter().any(|finding| finding.rule == "T04"));

    // ECS rules can be suppressed like those of this crate.
    let rules = "rules:\n  T04: { severity: off, reason: tried on our own host }\n";
    let plan = plan_without_flags(&format!("{text}{rules}"))
        .map_err(|outcome| support::format_findings(&outcome.findings));
    let plan = plan.expect("a plan");
    assert!(suppressions(&plan).contains(&("T04", "tried on our own host")));
    assert!(
        plan.warnings()
            .iter()
            .all(|finding| finding.rule != "T04" && finding.rule != "M25")
    );
    // The suppressed fault is rendered unchanged.
    assert!(render(&plan)[0].text.contains("\"bridge\""));
}

#[test]
fn a_suppressed_security_rule_does_not_stop_the_wiring_and_is_listed() {
    let text = "\
name: shop
app: web
ingress: [tls]
settings:
  web: { listen: '0.0.0.0:9000' }
rules:
  M22: { severity: off, reason: the scanner of our auditors has to reach it }
service: {}
";

    let plan =
        plan_without_flags(text).map_err(|outcome| support::format_findings(&outcome.findings));
    let plan = plan.expect("a plan");
    let reason = "the scanner of our auditors has to reach it";
    assert_eq!(suppressions(&plan), [("M22", reason)]);
    assert!(plan.warnings().is_empty());
    assert!(assembly::rules::is_security_rule("M22"));
}

#[test]
fn a_lowered_error_is_a_warning_and_a_raised_warning_fails() {
    let lowered = "\
name: shop
app: web
settings:
  wbe: { greeting: hello }
rules:
  M17: { severity: warning, reason: it comes next week }
service: {}
";

    let plan =
        plan_without_flags(lowered).map_err(|outcome| support::format_findings(&outcome.findings));
    let plan = plan.expect("a plan");
    let warnings: Vec<_> = plan
        .warnings()
        .iter()
        .map(|f| (f.rule, f.severity))
        .collect();

    assert_eq!(warnings, [("M17", Severity::Warning)]);

    // A flag overrides the entry of the manifest.
    let outcome = plan_with(lowered, &flag("M17", Level::Error)).expect_err("raised");
    assert_eq!(outcome.findings[0].severity, Severity::Error);
}

#[test]
fn the_command_line_takes_precedence_and_an_overridden_entry_is_not_unused() {
    let text = "\
name: shop
app: web
settings:
  wbe: { greeting: hello }
rules:
  M17: { severity: warning, reason: it comes next week }
service: {}
";

    let plan = plan_with(text, &flag("M17", Level::Off));
    let plan = plan.map_err(|outcome| support::format_findings(&outcome.findings));
    let plan = plan.expect("a plan");
    assert_eq!(suppressions(&plan), [("M17", "a flag")]);

    assert!(
        plan.warnings().is_empty(),
        "{}",
        support::format_findings(plan.warnings())
    );
}

#[test]
fn fatal_findings_are_reported_despite_a_flag() {
    let outcome = plan_with(
        "name: shop\napp: wep\nservice: {}\n",
        &flag("M05", Level::Off),
    );
    let outcome = outcome.expect_err("no such component");
    let ids: Vec<_> = outcome
        .findings
        .iter()
        .map(|finding| finding.rule)
        .collect();
    // Both the finding and the attempt to suppress it are reported.
    assert_eq!(ids, ["M26", "M05"]);
}

#[test]
fn an_unknown_field_of_a_patch_cannot_be_suppressed() {
    let text = "name: shop\napp: web\nservice: {}\npatch: { brandNew: 1 }\nrules:\n  C05: { severity: off, reason: new }\n";
    let outcome = plan_without_flags(text).expect_err("the field would not be written");
    let ids: Vec<_> = outcome
        .findings
        .iter()
        .map(|finding| finding.rule)
        .collect();
    assert_eq!(ids, ["C05", "M26"]);
}

#[test]
fn a_rules_file_is_read_like_a_manifest() {
    let good = "\
rules:
  C04: { severity: off, reason: images move here, files: ['legacy/*.json'] }
  T01: { severity: warning, reason: old names }
";
    let (read, findings) = rule_config::read(&Source::new("rules.yaml", good));

    assert!(
        findings.is_empty(),
        "{}",
        support::format_findings(&findings)
    );
    let config = RuleConfig::new(read);
    assert_eq!(config.for_file("legacy/a.json").overrides().len(), 2);
    assert_eq!(config.for_file("new/a.json").overrides().len(), 1);

    // An unknown id, an unknown severity, no reason, an empty reason, and a rule that cannot be suppressed.
    let bad = "\
rules:
  C4: { severity: off, reason: images move here }
  T01: { severity: of, reason: old names }
  T02: { severity: off }
  T03: { severity: off, reason: ' ' }
  Y01: { severity: off, reason: broken }
";

    let (_, findings) = rule_config::read(&Source::new("rules.yaml", bad));
    let text = support::format_findings(&findings);
    for (id, line) in [("M02", 3), ("M03", 4)] {
        assert!(text.contains(&format!("error[{id}]")), "{text}");
        assert!(text.contains(&format!("rules.yaml:{line}:")), "{text}");
    }

    let (read, findings) = rule_config::read(&Source::new("rules.yaml", "# nothing yet\n"));
    assert!(read.is_empty() && findings.is_empty());
}
