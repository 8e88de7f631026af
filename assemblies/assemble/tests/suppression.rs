//! Who may say how bad a rule's findings are, and who wins.

mod support;

use support::{PLAIN, PROXY, Project};

const SHOP_ON_HOST: &str = "name: shop
app: web
service: {}
patch: { networkMode: host }
";

#[test]
fn a_reason_on_the_command_line_silences_and_is_counted_and_shown() {
    let project = Project::new();
    project.write("task.json", PLAIN);
    let arguments = [
        "check",
        "task.json",
        "--silence",
        "T01=named by others",
        "--silence",
        "t03=it ends",
    ];

    let said = project.assemble(&arguments);
    assert_eq!(said.code, Some(0), "{}", said.out);
    assert!(!said.out.contains("T01"), "{}", said.out);
    assert!(
        said.err.contains("1 finding: 1 warning; 2 silenced"),
        "{}",
        said.err
    );

    let shown = project.assemble(&[&arguments[..], &["--show-silenced"]].concat());
    assert!(shown.out.contains("silenced error[T01]"), "{}", shown.out);
    assert!(
        shown
            .out
            .contains("= reason: named by others (the command line)"),
        "{}",
        shown.out
    );
}

#[test]
fn a_flag_without_a_reason_or_with_an_unknown_id_is_refused() {
    let project = Project::new();
    let cases = [
        ("T01=", "gives no reason"),
        ("T011=why", "did you mean `T01`?"),
        ("M05=why", "cannot be silenced"),
        ("T01", "NAME=VALUE"),
    ];

    for (flag, words) in cases {
        let said = project.assemble(&["check", "--silence", flag]);
        assert_eq!(said.code, Some(2), "{flag}");
        assert!(said.err.contains(words), "{flag}: {}", said.err);
    }
}

#[test]
fn a_flag_that_silences_nothing_is_told() {
    let project = Project::new();
    let said = project.assemble(&["check", "--silence", "T08=no reason at all"]);
    assert_eq!(said.code, Some(0));
    assert!(said.out.contains("warning[M25]"), "{}", said.out);
    assert!(
        said.out.contains("`--silence T08` on the command line"),
        "{}",
        said.out
    );
}

#[test]
fn the_file_of_a_project_speaks_for_the_files_it_names() {
    let project = Project::new();
    let rules = "rules:
  T01: { severity: off, reason: old names, files: ['legacy/*.json'] }
  T03: { severity: warning, reason: they end }
";

    project.write("assemblies/rules.yaml", rules);
    project.write("legacy/task.json", PLAIN);
    project.write("new/task.json", PLAIN);

    let legacy = project.assemble(&["check", "legacy/task.json"]);
    assert_eq!(legacy.code, Some(0), "{}", legacy.out);
    assert!(legacy.out.contains("warning[T03]"), "{}", legacy.out);
    assert!(legacy.err.contains("1 silenced"), "{}", legacy.err);
    let new = project.assemble(&["check", "new/task.json"]);
    assert!(new.out.contains("error[T01]"), "{}", new.out);
}

#[test]
fn the_files_are_named_from_the_project_wherever_the_command_runs() {
    let project = Project::new();
    let rules = "rules: { T01: { severity: off, reason: old names, files: [legacy/task.json] } }\n";
    project.write("assemblies/rules.yaml", rules);
    project.write("legacy/task.json", PLAIN);
    let inside = support::assemble(&project.root().join("legacy"), &["check", "task.json"]);
    assert!(!inside.out.contains("T01"), "{}", inside.out);
}

#[test]
fn a_stale_entry_is_told_when_all_it_speaks_of_was_judged() {
    let project = Project::new();
    let rules = "rules:
  T08: { severity: off, reason: nobody knows, files: [task.json] }
  T09: { severity: off, reason: nobody knows }
";

    project.write("assemblies/rules.yaml", rules);
    project.write("task.json", PLAIN);
    let one = project.assemble(&["check", "task.json"]).out;
    assert!(
        one.contains("warning[M25]: `T08`") && !one.contains("`T09`"),
        "{one}"
    );
    assert!(one.contains("rules.yaml:2:"), "{one}");

    let all = project.assemble(&["check"]).out;
    assert!(
        all.contains("warning[M25]: `T09`") && !all.contains("`T08`"),
        "{all}"
    );
}

#[test]
fn a_mistake_in_the_file_of_rules_is_a_finding_in_it() {
    let project = Project::new();
    project.write(
        "assemblies/rules.yaml",
        "rules: { T011: { severity: off, reason: old } }\n",
    );

    let said = project.assemble(&["check"]);
    assert_eq!(said.code, Some(1));
    assert!(
        said.out.contains("error[M24]") && said.out.contains("rules.yaml:1:"),
        "{}",
        said.out
    );
    assert!(said.out.contains("write `T01`"), "{}", said.out);
}

#[test]
fn outside_of_a_project_the_nearest_file_upwards_speaks() {
    let folder = Project::empty();
    folder.write(
        ".assemble-rules.yaml",
        "rules: { T01: { severity: off, reason: old names } }\n",
    );
    folder.write("deep/down/task.json", PLAIN);

    let said = folder.assemble(&["check", "deep/down/task.json"]);
    assert!(!said.out.contains("T01"), "{}", said.out);
    folder.write(
        "other.yaml",
        "rules: { T03: { severity: off, reason: it ends } }\n",
    );

    let said = folder.assemble(&["check", "deep/down/task.json", "--rules", "other.yaml"]);
    assert!(
        said.out.contains("T01") && !said.out.contains("T03"),
        "{}",
        said.out
    );
}

#[test]
fn a_flag_wins_over_the_manifest_and_that_over_the_file() {
    let project = Project::new();
    let manifest =
        |rules: &str| project.write("assemblies/shop.yaml", format!("{SHOP_ON_HOST}{rules}"));
    let own = "rules:\n  T04: { severity: warning, reason: tried here }\n";

    project.write(
        "assemblies/rules.yaml",
        "rules: { T04: { severity: off, reason: all of us } }\n",
    );
    manifest("");
    assert!(!project.assemble(&["check"]).out.contains("T04"));
    manifest(own);
    assert!(project.assemble(&["check"]).out.contains("warning[T04]"));
    let raised = project.assemble(&["check", "--raise", "T04"]);
    assert!(raised.out.contains("error[T04]"), "{}", raised.out);
}

#[test]
fn what_is_silenced_is_rendered_and_a_guard_is_named_every_time() {
    let project = Project::new();
    project.write("sidecars/tls/component.yaml", PROXY);
    let shop = "name: shop
app: web
ingress: [tls]
settings: { web: { listen: '0.0.0.0:9000' } }
service: {}
";

    project.write("assemblies/shop.yaml", shop);
    assert_eq!(project.assemble(&["render", "shop"]).code, Some(1));
    let rules = "rules: { M22: { severity: off, reason: the auditors reach it } }\n";
    project.write("assemblies/shop.yaml", format!("{shop}{rules}"));

    for verb in [
        ["--quiet", "check", "assemblies/shop.yaml"],
        ["--quiet", "render", "shop"],
    ] {
        let said = project.assemble(&verb);
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
        assert!(
            said.err
                .contains("M22 is silenced: `web` would listen on 0.0.0.0:9000"),
            "{}",
            said.err
        );

        assert!(
            said.err
                .contains("because: the auditors reach it (assemblies/shop.yaml:6)"),
            "{}",
            said.err
        );
    }

    assert!(
        project
            .read("assemblies/rendered/shop/task-definition.json")
            .contains("0.0.0.0:9000")
    );
}
