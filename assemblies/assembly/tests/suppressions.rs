//! Rules are silenced, lowered and raised by id, with a reason, at every stage.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use assembly::{Plan, plan_under, render, rule_config};
use task_definition::source::Source;
use task_definition::{Authority, Judged, Judgement, Place, Ruling, Severity, Verdict};

mod support;

fn planned(text: &str, judgement: &Judgement) -> Result<Plan, Judged> {
    let source = Source::new("case.yaml", text);
    let catalog = support::catalog("tests/rule-catalog");
    plan_under(&source, &catalog, &support::values(), judgement)
}

fn alone(text: &str) -> Result<Plan, Judged> {
    planned(text, &Judgement::default())
}

fn silenced(plan: &Plan) -> Vec<(&str, &str)> {
    let suppressed = plan.suppressed().iter();
    suppressed
        .map(|one| (one.finding.rule, one.ruling.reason.as_str()))
        .collect()
}

fn flag(rule: &str, verdict: Verdict) -> Judgement {
    Judgement::new([Ruling {
        rule: rule.to_owned(),
        verdict,
        reason: "a flag".to_owned(),
        authority: Authority::CommandLine,
        place: Place::Pointer(String::new()),
        files: Vec::new(),
    }])
}

#[test]
fn a_silenced_error_of_a_finished_definition_lets_the_plan_through() {
    let text = "name: shop\napp: web\nservice: {}\npatch: { networkMode: bridge }\n";
    let judged = alone(text).expect_err("T04");
    assert!(judged.findings.iter().any(|one| one.rule == "T04"));

    let rules = "rules:\n  T04: { severity: off, reason: tried on a machine of our own }\n";
    let plan = alone(&format!("{text}{rules}")).map_err(|judged| support::told(&judged.findings));
    let plan = plan.expect("a plan");
    assert!(silenced(&plan).contains(&("T04", "tried on a machine of our own")));
    assert!(
        plan.warnings()
            .iter()
            .all(|one| one.rule != "T04" && one.rule != "M25")
    );
    assert!(render(&plan)[0].text.contains("\"bridge\""));
}

#[test]
fn a_guard_that_is_silenced_lets_the_wiring_go_on_and_is_kept() {
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

    let plan = alone(text).map_err(|judged| support::told(&judged.findings));
    let plan = plan.expect("a plan");
    let reason = "the scanner of our auditors has to reach it";
    assert_eq!(silenced(&plan), [("M22", reason)]);
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

    let plan = alone(lowered).map_err(|judged| support::told(&judged.findings));
    let plan = plan.expect("a plan");
    let told: Vec<_> = plan
        .warnings()
        .iter()
        .map(|f| (f.rule, f.severity))
        .collect();

    assert_eq!(told, [("M17", Severity::Warning)]);

    let judged = planned(lowered, &flag("M17", Verdict::Error)).expect_err("raised");
    assert_eq!(judged.findings[0].severity, Severity::Error);
}

#[test]
fn the_command_line_wins_and_an_overruled_entry_is_not_called_stale() {
    let text = "\
name: shop
app: web
settings:
  wbe: { greeting: hello }
rules:
  M17: { severity: warning, reason: it comes next week }
service: {}
";

    let plan = planned(text, &flag("M17", Verdict::Off));
    let plan = plan.map_err(|judged| support::told(&judged.findings));
    let plan = plan.expect("a plan");
    assert_eq!(silenced(&plan), [("M17", "a flag")]);

    assert!(
        plan.warnings().is_empty(),
        "{}",
        support::told(plan.warnings())
    );
}

#[test]
fn what_has_to_be_there_is_told_in_spite_of_a_flag() {
    let judged = planned(
        "name: shop\napp: wep\nservice: {}\n",
        &flag("M05", Verdict::Off),
    );
    let judged = judged.expect_err("no such component");
    let ids: Vec<_> = judged.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(ids, ["M26", "M05"]);
}

#[test]
fn a_field_that_nobody_knows_cannot_be_dropped_in_silence() {
    let text = "name: shop\napp: web\nservice: {}\npatch: { brandNew: 1 }\nrules:\n  C05: { severity: off, reason: new }\n";
    let judged = alone(text).expect_err("the field would not be written");
    let ids: Vec<_> = judged.findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(ids, ["C05", "M26"]);
}

#[test]
fn a_file_of_rules_is_read_like_a_manifest() {
    let good = "\
rules:
  C04: { severity: off, reason: images move here, files: ['legacy/*.json'] }
  T01: { severity: warning, reason: old names }
";
    let (read, findings) = rule_config::read(&Source::new("rules.yaml", good));

    assert!(findings.is_empty(), "{}", support::told(&findings));
    let judgement = Judgement::new(read);
    assert_eq!(judgement.about("legacy/a.json").rulings().len(), 2);
    assert_eq!(judgement.about("new/a.json").rulings().len(), 1);

    let bad = "\
rules:
  C4: { severity: off, reason: images move here }
  T01: { severity: of, reason: old names }
  T02: { severity: off }
  T03: { severity: off, reason: ' ' }
  Y01: { severity: off, reason: broken }
";

    let (_, findings) = rule_config::read(&Source::new("rules.yaml", bad));
    let told = support::told(&findings);
    for (id, line) in [("M02", 3), ("M03", 4)] {
        assert!(told.contains(&format!("error[{id}]")), "{told}");
        assert!(told.contains(&format!("rules.yaml:{line}:")), "{told}");
    }

    let (read, findings) = rule_config::read(&Source::new("rules.yaml", "# nothing yet\n"));
    assert!(read.is_empty() && findings.is_empty());
}
