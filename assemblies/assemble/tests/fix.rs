//! `check --fix` applies the automatic fixes and changes nothing else.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

mod support;

use support::Project;

/// Two errors with an automatic fix, one without, and an unusual layout.
const TASK: &str = r#"{
  "family": "web",   "networkMode": "bridge",
  "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
  "containerDefinitions": [
    { "name": "app", "image": "app:1",
      "healthCheck": { "command": ["/app", "probe"] } },
    { "name": "app", "image": "app:2" }
  ]
}
"#;

#[test]
fn fixes_in_place_and_keeps_the_rest_byte_for_byte() {
    let project = Project::empty();
    project.write("task.json", TASK);
    let output = project.assemble(&["check", "--fix", "task.json"]);
    assert_eq!(output.code, Some(1), "C02 has no fix: {}", output.out);

    let fixed = TASK
        .replace("bridge", "awsvpc")
        .replace("[\"/app\"", "[\"CMD\", \"/app\"");
    assert_eq!(project.read("task.json"), fixed);
    assert_eq!(
        output.err.matches("fixed task.json: ").count(),
        2,
        "{}",
        output.err
    );

    assert!(
        output.out.contains("error[C02]") && !output.out.contains("T04"),
        "{}",
        output.out
    );
    // A second run finds nothing to fix.
    let again = project.assemble(&["check", "--fix", "task.json"]);

    assert!(!again.err.contains("fixed"), "{}", again.err);
    assert_eq!(project.read("task.json"), fixed);
}

#[test]
fn prints_a_diff_for_patch_and_writes_nothing() {
    for flags in [
        // Two spellings of the same.
        &["check", "--diff", "task.json"][..],
        &["check", "--fix", "--dry-run", "task.json"],
    ] {
        let project = Project::empty();
        project.write("task.json", TASK);
        let output = project.assemble(flags);
        assert_eq!(output.code, Some(1));
        assert_eq!(project.read("task.json"), TASK);
        assert!(
            output
                .out
                .starts_with("--- task.json\n+++ task.json\n@@ -1,9 +1,9 @@\n"),
            "{}",
            output.out
        );

        assert!(
            output
                .out
                .contains("-  \"family\": \"web\",   \"networkMode\": \"bridge\",\n"),
            "{}",
            output.out
        );

        assert!(
            output
                .out
                .contains("+  \"family\": \"web\",   \"networkMode\": \"awsvpc\",\n"),
            "{}",
            output.out
        );
    }
}

#[test]
fn does_not_fix_suppressed_findings() {
    let project = Project::empty();
    project.write("task.json", TASK);
    project.assemble(&["check", "--fix", "task.json", "--allow", "T04=runs on EC2"]);
    assert!(project.read("task.json").contains("bridge"));
}

#[test]
fn does_not_rewrite_a_manifest() {
    let project = Project::new();
    // T04 is about the rendered definition; the manifest has no pointer to apply its fix to.
    let shop = "name: shop\napp: web\nservice: {}\npatch: { networkMode: host }\n";
    project.write("assemblies/shop.yaml", shop);
    assert_eq!(project.assemble(&["check", "--fix"]).code, Some(1));
    assert_eq!(project.read("assemblies/shop.yaml"), shop);
}

#[test]
fn sarif_contains_the_replacement() {
    let project = Project::empty();
    project.write("task.json", TASK);
    let document = project
        .assemble(&["check", "--format", "sarif", "task.json"])
        .json();
    let results = document["runs"][0]["results"].as_array().expect("results");
    let result = results
        .iter()
        .find(|result| result["ruleId"] == "T04")
        .expect("T04");
    let replacement = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];

    assert_eq!(replacement["insertedContent"]["text"], "awsvpc");
    assert_eq!(replacement["deletedRegion"]["startLine"], 2);
    let other = results
        .iter()
        .find(|result| result["ruleId"] == "C02")
        .expect("C02");
    assert!(other["fixes"].is_null());
}
