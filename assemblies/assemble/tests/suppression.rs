//! Rule levels and suppressions: flags, manifest and files, and their precedence.

mod support;

use support::{PLAIN, PROXY, Project};

const SHOP_ON_HOST: &str = "name: shop
app: web
service: {}
patch: { networkMode: host }
";

#[test]
fn allow_suppresses_counts_and_lists_findings() {
    let project = Project::new();
    project.write("task.json", PLAIN);
    let arguments = [
        "check",
        "task.json",
        "--allow",
        "T01=named by others",
        // Ids are not case-sensitive.
        "--allow",
        "t03=it ends",
    ];

    let output = project.assemble(&arguments);
    assert_eq!(output.code, Some(0), "{}", output.out);
    assert!(!output.out.contains("T01"), "{}", output.out);
    assert!(
        output.err.contains("1 finding: 1 warning; 2 suppressed"),
        "{}",
        output.err
    );

    let listed = project.assemble(&[&arguments[..], &["--show-suppressed"]].concat());
    assert!(
        listed.out.contains("suppressed error[T01]"),
        "{}",
        listed.out
    );
    assert!(
        listed
            .out
            .contains("= reason: named by others (the command line)"),
        "{}",
        listed.out
    );
}

#[test]
fn rejects_a_flag_without_a_reason_or_with_an_unknown_id() {
    let project = Project::new();
    let cases = [
        ("T01=", "has no reason"),
        ("T011=why", "did you mean `T01`?"),
        // Without the component there is nothing to render.
        ("M05=why", "cannot be allowed"),
        ("T01", "expected a name"),
    ];

    for (flag, message) in cases {
        let output = project.assemble(&["check", "--allow", flag]);
        assert_eq!(output.code, Some(2), "{flag}");
        assert!(output.err.contains(message), "{flag}: {}", output.err);
    }
}

#[test]
fn reports_a_flag_that_suppresses_nothing() {
    let project = Project::new();
    let output = project.assemble(&["check", "--allow", "T08=no reason at all"]);
    assert_eq!(output.code, Some(0));
    assert!(output.out.contains("warning[M25]"), "{}", output.out);
    assert!(
        output.out.contains("`--allow T08` on the command line"),
        "{}",
        output.out
    );
}

#[test]
fn an_entry_with_files_applies_to_these_files_only() {
    let project = Project::new();
    let rules = "rules:
  T01: { severity: off, reason: old names, files: ['legacy/*.json'] }
  T03: { severity: warning, reason: runs once }
";

    project.write("assemblies/rules.yaml", rules);
    project.write("legacy/task.json", PLAIN);
    project.write("new/task.json", PLAIN);

    // T01 is suppressed here only; T03 is a warning everywhere.
    let legacy = project.assemble(&["check", "legacy/task.json"]);
    assert_eq!(legacy.code, Some(0), "{}", legacy.out);
    assert!(legacy.out.contains("warning[T03]"), "{}", legacy.out);
    assert!(legacy.err.contains("1 suppressed"), "{}", legacy.err);
    let new = project.assemble(&["check", "new/task.json"]);
    assert!(new.out.contains("error[T01]"), "{}", new.out);
}

#[test]
fn paths_in_the_configuration_are_relative_to_the_project() {
    let project = Project::new();
    let rules = "rules: { T01: { severity: off, reason: old names, files: [legacy/task.json] } }\n";
    project.write("assemblies/rules.yaml", rules);
    project.write("legacy/task.json", PLAIN);
    let inside = support::assemble(&project.root().join("legacy"), &["check", "task.json"]);
    assert!(!inside.out.contains("T01"), "{}", inside.out);
}

#[test]
fn reports_an_unused_entry_once_all_its_files_were_checked() {
    let project = Project::new();
    let rules = "rules:
  T08: { severity: off, reason: unknown, files: [task.json] }
  T09: { severity: off, reason: unknown }
";

    project.write("assemblies/rules.yaml", rules);
    project.write("task.json", PLAIN);
    // T09 is for all files, of which only one was checked.
    let single = project.assemble(&["check", "task.json"]).out;
    assert!(
        single.contains("warning[M25]: `T08`") && !single.contains("`T09`"),
        "{single}"
    );
    assert!(single.contains("rules.yaml:2:"), "{single}");

    // Without arguments all assemblies are checked, but not task.json.
    let all = project.assemble(&["check"]).out;
    assert!(
        all.contains("warning[M25]: `T09`") && !all.contains("`T08`"),
        "{all}"
    );
}

#[test]
fn a_mistake_in_the_rule_configuration_is_a_finding() {
    let project = Project::new();
    project.write(
        "assemblies/rules.yaml",
        "rules: { T011: { severity: off, reason: old } }\n",
    );

    let output = project.assemble(&["check"]);
    assert_eq!(output.code, Some(1));
    assert!(
        output.out.contains("error[M24]") && output.out.contains("rules.yaml:1:"),
        "{}",
        output.out
    );
    assert!(output.out.contains("write `T01`"), "{}", output.out);
}

#[test]
fn outside_of_a_project_the_nearest_configuration_file_applies() {
    let folder = Project::empty();
    folder.write(
        ".assemble-rules.yaml",
        "rules: { T01: { severity: off, reason: old names } }\n",
    );
    folder.write("deep/down/task.json", PLAIN);

    let output = folder.assemble(&["check", "deep/down/task.json"]);
    assert!(!output.out.contains("T01"), "{}", output.out);
    folder.write(
        "other.yaml",
        "rules: { T03: { severity: off, reason: it ends } }\n",
    );

    // --rules replaces the file found above.
    let output = folder.assemble(&["check", "deep/down/task.json", "--rules", "other.yaml"]);
    assert!(
        output.out.contains("T01") && !output.out.contains("T03"),
        "{}",
        output.out
    );
}

#[test]
fn flags_override_the_manifest_which_overrides_the_file() {
    let project = Project::new();
    let manifest =
        |rules: &str| project.write("assemblies/shop.yaml", format!("{SHOP_ON_HOST}{rules}"));
    let manifest_rules = "rules:\n  T04: { severity: warning, reason: tried here }\n";

    project.write(
        "assemblies/rules.yaml",
        "rules: { T04: { severity: off, reason: all of us } }\n",
    );
    manifest("");
    // Suppressed by the file alone.
    assert!(!project.assemble(&["check"]).out.contains("T04"));
    manifest(manifest_rules);
    assert!(project.assemble(&["check"]).out.contains("warning[T04]"));
    let denied = project.assemble(&["check", "--deny", "T04"]);
    assert!(denied.out.contains("error[T04]"), "{}", denied.out);
}

#[test]
fn renders_with_suppressions_and_always_prints_security_relevant_ones() {
    let project = Project::new();
    project.write("sidecars/tls/component.yaml", PROXY);
    let shop = "name: shop
app: web
ingress: [tls]
settings: { web: { listen: '0.0.0.0:9000' } }
service: {}
";

    project.write("assemblies/shop.yaml", shop);
    // M22: an inner hop listens on a public address.
    assert_eq!(project.assemble(&["render", "shop"]).code, Some(1));
    let rules = "rules: { M22: { severity: off, reason: the auditors reach it } }\n";
    project.write("assemblies/shop.yaml", format!("{shop}{rules}"));

    for verb in [
        ["--quiet", "check", "assemblies/shop.yaml"],
        ["--quiet", "render", "shop"],
    ] {
        let output = project.assemble(&verb);
        assert_eq!(output.code, Some(0), "{}{}", output.out, output.err);
        // One line, in spite of --quiet.
        assert_eq!(output.err.lines().count(), 1, "{}", output.err);
        assert!(
            output
                .err
                .contains("M22 is suppressed: `web` would listen on 0.0.0.0:9000"),
            "{}",
            output.err
        );

        assert!(
            output
                .err
                .contains("reason: the auditors reach it (assemblies/shop.yaml:6)"),
            "{}",
            output.err
        );
    }

    assert!(
        project
            .read("assemblies/rendered/shop/task-definition.json")
            .contains("0.0.0.0:9000")
    );
}
