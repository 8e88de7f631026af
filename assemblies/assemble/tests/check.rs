//! The output formats of `check`.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use serde_json::{Value, json};

mod support;

use support::{PLAIN, Project};

#[test]
fn json_has_a_version_findings_and_totals() {
    let project = Project::new();
    project.write("task.json", PLAIN);
    let output = project.assemble(&[
        "check",
        "--format",
        "json",
        "--allow",
        "T03=it ends",
        "task.json",
    ]);

    assert_eq!(output.code, Some(1), "{}", output.err);
    let document = output.json();
    assert_eq!(document["version"], 1);
    assert_eq!(
        document["total"],
        json!({ "errors": 1, "warnings": 1, "suppressed": 1 })
    );

    let first = &document["findings"][0];
    assert_eq!(first["rule"], "T01");
    assert_eq!(first["severity"], "error");
    // Line 2, column 13: the value of `family`, not its key.
    assert_eq!(
        (&first["file"], &first["line"], &first["column"]),
        (&json!("task.json"), &json!(2), &json!(13))
    );
    assert_eq!(first["pointer"], "/family");
    assert!(first["message"].is_string() && first["hint"].is_string());

    let suppressed = &document["suppressed"][0];
    assert_eq!(suppressed["rule"], "T03");
    assert_eq!(suppressed["reason"], "it ends");
    assert_eq!(suppressed["source"], "command line");

    assert!(
        output
            .err
            .contains("2 findings: 1 error, 1 warning; 1 suppressed"),
        "{}",
        output.err
    );
}

#[test]
fn github_prints_one_escaped_command_per_finding() {
    let project = Project::new();
    // `,` and `:` end a property of a workflow command.
    project.write("deep/odd,na:me.json", PLAIN);
    let output = project.assemble(&["check", "--format", "github", "deep/odd,na:me.json"]);
    let lines: Vec<&str> = output.out.lines().collect();

    assert_eq!(lines.len(), 3, "{}", output.out);
    assert!(
        lines[0].starts_with("::error file=deep/odd%2Cna%3Ame.json,line=2,col=13,title=T01::"),
        "{}",
        lines[0]
    );
    // A newline would end the command.
    assert!(lines[0].contains("%0Ahint: "), "{}", lines[0]);

    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("::warning ") && line.contains("title=C04"))
    );
}

#[test]
fn sarif_has_the_fields_that_code_scanning_needs() {
    let project = Project::new();
    // The space must be percent-encoded in a URI.
    project.write("deep down/task.json", PLAIN);
    let arguments = [
        "check",
        "--format",
        "sarif",
        "--allow",
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
    // GitHub's code scanning rejects a result without a rule, a location or a fingerprint.
    for result in results {
        let rule = &rules[result["ruleIndex"].as_u64().expect("an index") as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        for field in ["shortDescription", "fullDescription", "help"] {
            assert!(!rule[field]["text"].as_str().expect("text").is_empty());
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
    assert_eq!(prints.len(), 3, "fingerprints are unique");

    let suppressed: Vec<&Value> = results
        .iter()
        .filter(|result| result["suppressions"] != json!([]))
        .collect();

    assert_eq!(suppressed.len(), 1);
    assert_eq!(suppressed[0]["ruleId"], "T03");
    assert_eq!(suppressed[0]["suppressions"][0]["justification"], "it ends");
    // "external": the suppression is not in the checked file.
    assert_eq!(suppressed[0]["suppressions"][0]["kind"], "external");
}

#[test]
fn a_fingerprint_does_not_depend_on_the_line() {
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
    // Three more lines before everything else.
    let after = prints(&PLAIN.replacen('{', "{\n\n\n", 1));
    assert_eq!(before, after);
}

#[test]
fn a_derived_finding_points_at_its_manifest_line_in_every_format() {
    let project = Project::new();
    // T04 is about the rendered definition; `patch` in line 4 causes it.
    project.write(
        "assemblies/shop.yaml",
        "name: shop\napp: web\nservice: {}\npatch: { networkMode: host }\n",
    );

    let sarif = project.assemble(&["check", "--format", "sarif"]).json();
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let result = results
        .iter()
        .find(|result| result["ruleId"] == "T04")
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
fn an_unreadable_file_does_not_prevent_checking_the_others() {
    let project = Project::new();
    project.write("task.json", PLAIN);
    let output = project.assemble(&["check", "nowhere.json", "task.json", "never.json"]);
    // 2, not 1: unreadable input wins over findings.
    assert_eq!(output.code, Some(2));
    assert!(output.out.contains("error[T01]"), "{}", output.out);
    assert!(
        output.err.contains("nowhere.json") && output.err.contains("never.json"),
        "{}",
        output.err
    );
}

#[test]
fn strict_fails_on_a_warning() {
    let project = Project::new();
    // Without T01 and T03 only the warning C04 is left.
    let warned = PLAIN.replace("my web", "web").replace("false", "true");
    project.write("task.json", warned);
    assert_eq!(project.assemble(&["check", "task.json"]).code, Some(0));
    assert_eq!(
        project.assemble(&["check", "--strict", "task.json"]).code,
        Some(1)
    );
    let denied = project.assemble(&["check", "--deny", "C04", "task.json"]);

    assert_eq!(denied.code, Some(1));
    assert!(denied.out.contains("error[C04]"), "{}", denied.out);
}
