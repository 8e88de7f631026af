//! `register` and `diff`.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{PLAIN, REVISION, aws, command, ecs, output, project, run_arguments, stopped};
use crate::fake::Moto;
use crate::support::Project;

#[test]
fn every_form_of_a_definition_is_registered() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    // The response of describe-task-definition, whose tags are beside the definition.
    let mut described: Value = serde_json::from_str(PLAIN).unwrap();
    for (name, value) in [
        ("taskDefinitionArn", json!(REVISION)),
        ("revision", json!(3)),
        ("status", json!("ACTIVE")),
        ("compatibilities", json!(["EC2", "FARGATE"])),
        (
            "requiresAttributes",
            json!([{ "name": "ecs.capability.task-eni" }]),
        ),
        ("registeredAt", json!("2026-11-30T09:00:00Z")),
    ] {
        described[name] = value;
    }

    let described =
        json!({ "taskDefinition": described, "tags": [{ "key": "team", "value": "shop" }] });
    project.write("described.json", described.to_string());
    project.write("task.yaml", PLAIN);
    for file in ["described.json", "task.yaml"] {
        let registered = aws(&project, &ecs.url, &["register", "--force", file]);
        assert_eq!(registered.code, Some(0), "{file}: {registered:?}");
    }

    let bodies = ecs.values("RegisterTaskDefinition", "tags");
    assert_eq!(bodies[0], json!([{ "key": "team", "value": "shop" }]));
    let body = ecs.body("RegisterTaskDefinition");
    assert_eq!(
        (&body["revision"], &body["status"], &body["compatibilities"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );

    let same = aws(&project, &ecs.url, &["diff", "task.yaml"]);
    assert_eq!((same.code, same.out.as_str()), (Some(0), ""), "{same:?}");

    // Values that only CloudFormation knows must not be registered as something else.
    let template = json!({ "Parameters": { "Image": { "Type": "String" } }, "Resources": { "Task": {
        "Type": "AWS::ECS::TaskDefinition", "Properties": { "Family": "web", "Cpu": "256", "Memory": "512",
        "NetworkMode": "awsvpc", "RequiresCompatibilities": ["FARGATE"],
        "ContainerDefinitions": [{ "Name": "web", "Image": { "Ref": "Image" } }] } } } });
    project.write("template.json", template.to_string());
    let refused = aws(&project, &ecs.url, &["register", "template.json"]);

    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("/containerDefinitions/0/image"),
        "{}",
        refused.err
    );
}

#[test]
fn a_dry_run_sends_nothing_and_prints_the_calls() {
    let project = project();
    // Nothing listens there, and there are no credentials.
    let dry = |arguments: &[&str]| {
        let mut command = command(&project, "http://127.0.0.1:9", arguments);
        command.arg("--dry-run").env_remove("AWS_ACCESS_KEY_ID");
        output(command)
    };

    let register = dry(&["register", "shop", "--values", "prod"]);
    assert_eq!(register.code, Some(0), "{register:?}");
    for call in [
        "sts:GetCallerIdentity",
        "ecs:DescribeTaskDefinition",
        "ecs:RegisterTaskDefinition",
    ] {
        assert!(
            register.out.contains(&format!("{call} {{")),
            "{call}: {}",
            register.out
        );
    }

    assert!(
        register.out.contains("\"family\": \"shop\""),
        "{}",
        register.out
    );

    assert!(
        register.err.contains("nothing was sent"),
        "{}",
        register.err
    );

    let run = dry(&run_arguments("shop", &["--values", "prod"]));
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.out.contains("ecs:RunTask {") && run.out.contains("\"subnet-1\""),
        "{}",
        run.out
    );

    let diff = dry(&["diff", "shop"]);
    assert_eq!(diff.code, Some(0), "{diff:?}");
    assert!(
        diff.out.starts_with("ecs:DescribeTaskDefinition {"),
        "{}",
        diff.out
    );
}

/// Registers and compares every assembly of the repository on moto, an independent emulator.
#[test]
fn shipped_assemblies_have_no_difference_after_registration() {
    let Some(moto) = Moto::start("shipped assemblies against moto") else {
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.display().to_string();
    let project = Project::empty();
    let mut count = 0;

    for entry in fs::read_dir(Path::new(&root).join("assemblies")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let run = |verb: &str| aws(&project, &moto.url, &[verb, name, "--project", &root]);
        let registered = run("register");
        assert_eq!(registered.code, Some(0), "{name}: {registered:?}");
        let same = run("diff");
        assert_eq!(
            (same.code, same.out.as_str()),
            (Some(0), ""),
            "{name}: {same:?}"
        );
        count += 1;
    }
    assert!(count >= 4, "only {count} assemblies");
}
