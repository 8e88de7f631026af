//! `check --fix`: mends what leaves nothing to decide, and nothing else.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use support::Project;

/// Two mistakes with one way out, one without, and a layout that nobody else would choose.
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
fn mends_in_place_and_leaves_the_rest_byte_for_byte() {
    let project = Project::empty();
    project.write("task.json", TASK);
    let said = project.assemble(&["check", "--fix", "task.json"]);
    assert_eq!(said.code, Some(1), "C02 is left: {}", said.out);

    let mended = TASK
        .replace("bridge", "awsvpc")
        .replace("[\"/app\"", "[\"CMD\", \"/app\"");
    assert_eq!(project.read("task.json"), mended);
    assert_eq!(
        said.err.matches("mended task.json: ").count(),
        2,
        "{}",
        said.err
    );

    assert!(
        said.out.contains("error[C02]") && !said.out.contains("T04"),
        "{}",
        said.out
    );
    let again = project.assemble(&["check", "--fix", "task.json"]);

    assert!(!again.err.contains("mended"), "{}", again.err);
    assert_eq!(project.read("task.json"), mended);
}

#[test]
fn shows_a_diff_that_patch_takes_and_writes_nothing() {
    for flags in [
        &["check", "--diff", "task.json"][..],
        &["check", "--fix", "--dry-run", "task.json"],
    ] {
        let project = Project::empty();
        project.write("task.json", TASK);
        let said = project.assemble(flags);
        assert_eq!(said.code, Some(1));
        assert_eq!(project.read("task.json"), TASK);
        assert!(
            said.out
                .starts_with("--- task.json\n+++ task.json\n@@ -1,9 +1,9 @@\n"),
            "{}",
            said.out
        );

        assert!(
            said.out
                .contains("-  \"family\": \"web\",   \"networkMode\": \"bridge\",\n"),
            "{}",
            said.out
        );

        assert!(
            said.out
                .contains("+  \"family\": \"web\",   \"networkMode\": \"awsvpc\",\n"),
            "{}",
            said.out
        );
    }
}

#[test]
fn what_is_silenced_is_not_mended() {
    let project = Project::empty();
    project.write("task.json", TASK);
    project.assemble(&[
        "check",
        "--fix",
        "task.json",
        "--silence",
        "T04=it runs on our own machines",
    ]);
    assert!(project.read("task.json").contains("bridge"));
}

#[test]
fn a_manifest_is_not_rewritten() {
    let project = Project::new();
    let shop = "name: shop\napp: web\nservice: {}\npatch: { networkMode: host }\n";
    project.write("assemblies/shop.yaml", shop);
    assert_eq!(project.assemble(&["check", "--fix"]).code, Some(1));
    assert_eq!(project.read("assemblies/shop.yaml"), shop);
}

#[test]
fn sarif_says_what_to_replace() {
    let project = Project::empty();
    project.write("task.json", TASK);
    let document = project
        .assemble(&["check", "--format", "sarif", "task.json"])
        .json();
    let results = document["runs"][0]["results"].as_array().expect("results");
    let result = results
        .iter()
        .find(|one| one["ruleId"] == "T04")
        .expect("T04");
    let replacement = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];

    assert_eq!(replacement["insertedContent"]["text"], "awsvpc");
    assert_eq!(replacement["deletedRegion"]["startLine"], 2);
    let other = results
        .iter()
        .find(|one| one["ruleId"] == "C02")
        .expect("C02");
    assert!(other["fixes"].is_null());
}
