//! What `check` prints, in each form.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};

mod support;

use support::{PLAIN, Project};

#[test]
fn json_is_one_object_with_a_version_findings_and_totals() {
    let project = Project::new();
    project.write("task.json", PLAIN);
    let said = project.assemble(&[
        "check",
        "--format",
        "json",
        "--silence",
        "T03=it ends",
        "task.json",
    ]);

    assert_eq!(said.code, Some(1), "{}", said.err);
    let document = said.json();
    assert_eq!(document["version"], 1);
    assert_eq!(
        document["total"],
        json!({ "errors": 1, "warnings": 1, "silenced": 1 })
    );

    let first = &document["findings"][0];
    assert_eq!(first["rule"], "T01");
    assert_eq!(first["severity"], "error");
    assert_eq!(
        (&first["file"], &first["line"], &first["column"]),
        (&json!("task.json"), &json!(2), &json!(13))
    );
    assert_eq!(first["pointer"], "/family");
    assert!(first["message"].is_string() && first["hint"].is_string());

    let silenced = &document["silenced"][0];
    assert_eq!(silenced["rule"], "T03");
    assert_eq!(silenced["reason"], "it ends");
    assert_eq!(silenced["by"], "command line");

    assert!(
        said.err
            .contains("2 findings: 1 error, 1 warning; 1 silenced"),
        "{}",
        said.err
    );
}

#[test]
fn github_gets_a_command_a_finding_with_nothing_left_unescaped() {
    let project = Project::new();
    project.write("deep/odd,na:me.json", PLAIN);
    let said = project.assemble(&["check", "--format", "github", "deep/odd,na:me.json"]);
    let lines: Vec<&str> = said.out.lines().collect();

    assert_eq!(lines.len(), 3, "{}", said.out);
    assert!(
        lines[0].starts_with("::error file=deep/odd%2Cna%3Ame.json,line=2,col=13,title=T01::"),
        "{}",
        lines[0]
    );
    assert!(lines[0].contains("%0Ahint: "), "{}", lines[0]);

    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("::warning ") && line.contains("title=C04"))
    );
}

#[test]
fn sarif_has_what_code_scanning_needs() {
    let project = Project::new();
    project.write("deep down/task.json", PLAIN);
    let arguments = [
        "check",
        "--format",
        "sarif",
        "--silence",
        "T03=it ends",
        "deep down/task.json",
    ];

    let document = project.assemble(&arguments).json();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let results = run["results"].as_array().expect("results");

    assert_eq!(results.len(), 3);
    let mut prints = Vec::new();
    for result in results {
        let rule = &rules[result["ruleIndex"].as_u64().expect("an index") as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        for words in ["shortDescription", "fullDescription", "help"] {
            assert!(!rule[words]["text"].as_str().expect("text").is_empty());
        }

        assert!(
            rule["help"]["markdown"]
                .as_str()
                .expect("markdown")
                .contains("```")
        );

        let physical = &result["locations"][0]["physicalLocation"];
        assert_eq!(
            physical["artifactLocation"],
            json!({ "uri": "deep%20down/task.json", "uriBaseId": "%SRCROOT%" })
        );

        let region = &physical["region"];
        assert!(region["startLine"].as_u64() >= Some(1));
        assert!(region["endColumn"].as_u64() > region["startColumn"].as_u64());

        let logical = &result["locations"][0]["logicalLocations"][0];
        assert!(
            logical["fullyQualifiedName"]
                .as_str()
                .expect("a name")
                .starts_with('/')
        );

        prints.push(
            result["partialFingerprints"]["assembleFinding/v1"]
                .as_str()
                .expect("a print"),
        );
    }

    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), 3, "each finding has a fingerprint of its own");

    let suppressed: Vec<&Value> = results
        .iter()
        .filter(|one| one["suppressions"] != json!([]))
        .collect();

    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0]["ruleId"], "T03");
    assert_eq!(suppressed[0]["suppressions"][0]["justification"], "it ends");
    assert_eq!(suppressed[0]["suppressions"][0]["kind"], "external");
}

#[test]
fn a_fingerprint_stays_when_lines_move() {
    let project = Project::new();
    let prints = |text: &str| {
        project.write("task.json", text);
        let document = project
            .assemble(&["check", "--format", "sarif", "task.json"])
            .json();
        let results = document["runs"][0]["results"]
            .as_array()
            .expect("results")
            .clone();
        let print = |result: &Value| result["partialFingerprints"].to_string();
        results.iter().map(print).collect::<Vec<_>>()
    };

    let before = prints(PLAIN);
    let after = prints(&PLAIN.replacen('{', "{\n\n\n", 1));
    assert_eq!(before, after);
}

#[test]
fn what_is_derived_is_told_at_the_line_that_led_to_it_in_every_form() {
    let project = Project::new();
    project.write(
        "assemblies/shop.yaml",
        "name: shop\napp: web\nservice: {}\npatch: { networkMode: host }\n",
    );

    let sarif = project.assemble(&["check", "--format", "sarif"]).json();
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let result = results
        .iter()
        .find(|one| one["ruleId"] == "T04")
        .expect("T04");
    let physical = &result["locations"][0]["physicalLocation"];

    assert_eq!(physical["artifactLocation"]["uri"], "assemblies/shop.yaml");
    assert_eq!(physical["region"]["startLine"], 4);
    let github = project.assemble(&["check", "--format", "github"]);
    assert!(
        github
            .out
            .contains("::error file=assemblies/shop.yaml,line=4,"),
        "{}",
        github.out
    );
}

#[test]
fn a_file_that_cannot_be_read_keeps_no_other_from_being_checked() {
    let project = Project::new();
    project.write("task.json", PLAIN);
    let said = project.assemble(&["check", "nowhere.json", "task.json", "never.json"]);
    assert_eq!(said.code, Some(2));
    assert!(said.out.contains("error[T01]"), "{}", said.out);
    assert!(
        said.err.contains("nowhere.json") && said.err.contains("never.json"),
        "{}",
        said.err
    );
}

#[test]
fn strict_fails_on_a_warning() {
    let project = Project::new();
    let warned = PLAIN.replace("my web", "web").replace("false", "true");
    project.write("task.json", warned);
    assert_eq!(project.assemble(&["check", "task.json"]).code, Some(0));
    assert_eq!(
        project.assemble(&["check", "--strict", "task.json"]).code,
        Some(1)
    );
    let raised = project.assemble(&["check", "--raise", "C04", "task.json"]);

    assert_eq!(raised.code, Some(1));
    assert!(raised.out.contains("error[C04]"), "{}", raised.out);
}
