//! `check` accepts task definitions, services and requests in every supported form.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use support::{CommandOutput, Project};

/// Runs the command with a text on its standard input.
fn pipe(project: &Project, arguments: &[&str], text: &str) -> CommandOutput {
    let mut child = Command::new(env!("CARGO_BIN_EXE_assemble"))
        .args(arguments)
        .current_dir(project.root())
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    CommandOutput {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

const STACK: &str = "Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      RequiresCompatibilities: [FARGATE]
      NetworkMode: bridge
      Cpu: !Ref Cpu
      Memory: 512
      ContainerDefinitions:
        - { Name: app, Image: app:1 }
";

#[test]
fn findings_of_a_template_use_its_own_field_names() {
    let project = Project::new();
    project.write("stack.yaml", STACK);
    let output = project.assemble(&["check", "--format", "json", "stack.yaml"]);
    assert_eq!(output.code, Some(1), "{}", output.err);

    let findings = &output.json()["findings"];
    assert_eq!(findings.as_array().map(Vec::len), Some(1), "{findings}");
    assert_eq!(findings[0]["rule"], "T04");
    // `Cpu` refers to a parameter without a value here, so no rule about sizes applies.
    assert_eq!(findings[0]["line"], 6);

    assert_eq!(
        findings[0]["pointer"],
        // The template's path, not `/networkMode`.
        "/Resources/Task/Properties/NetworkMode"
    );
}

#[test]
fn a_request_is_checked_with_a_definition_of_another_file() {
    let project = Project::new();
    project.write(
        "task.json",
        r#"{ "family": "web", "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 8 }] }"#,
    );
    project.write(
        "run.json",
        r#"{ "taskDefinition": "web", "overrides": { "containerOverrides": [{ "name": "ap" }] } }"#,
    );

    // Without the definition its containers are unknown.
    let alone = project.assemble(&["check", "run.json"]);
    assert_eq!((alone.code, &*alone.out), (Some(0), ""));
    let together = project.assemble(&["check", "run.json", "task.json"]);
    assert_eq!(together.code, Some(1));
    assert!(together.out.contains("error[Q01]"), "{}", together.out);
    assert!(
        together.out.contains("did you mean `app`?"),
        "{}",
        together.out
    );
}

#[test]
fn explain_shows_the_findings_of_a_service_rule() {
    let project = Project::new();
    let output = project.assemble(&["explain", "P07"]);
    assert_eq!(output.code, Some(0), "{}", output.err);
    assert!(output.out.contains("has no port 8081"), "{}", output.out);
}

#[test]
fn a_manifest_is_not_taken_for_a_task_definition() {
    let project = Project::new();
    let output = project.assemble(&["check", "assemblies/shop.yaml"]);
    assert_eq!(output.code, Some(0), "{}{}", output.out, output.err);
}

#[test]
fn a_file_of_another_tool_is_named() {
    let files = [
        (
            "site.yml",
            "name: web\ntype: Static Site\nfiles: []\n",
            "an AWS Copilot manifest of a static site",
        ),
        (
            "environment.yml",
            "name: test\ntype: Environment\n",
            "an AWS Copilot environment manifest",
        ),
        (
            "typo.yml",
            "name: a\ntype: Backend Servce\nimage: { build: Dockerfile }\n",
            "an AWS Copilot manifest with a type that Copilot does not have",
        ),
        (
            "pipeline.yml",
            "name: p\nversion: 1\nsource: { provider: GitHub }\nstages: [{ name: test }]\n",
            "an AWS Copilot pipeline manifest",
        ),
        (
            "apprunner.yaml",
            "version: 1.0\nruntime: python3\nrun: { command: python app.py }\n",
            "an App Runner configuration",
        ),
        (
            "chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.0.0\n",
            "a Helm chart",
        ),
        (
            "pods.yaml",
            "apiVersion: v1\nkind: Pod\n---\napiVersion: v1\nkind: Service\n",
            "a Kubernetes manifest",
        ),
        (
            "bake.json",
            r#"{ "group": { "default": { "targets": ["web"] } }, "target": { "web": { "context": "." } } }"#,
            "a bake file",
        ),
        (
            "bake.hcl",
            "target \"web\" {\n  context = \".\"\n}\n",
            "a bake file",
        ),
        (
            "main.tf",
            "resource \"aws_ecs_service\" \"web\" {\n}\n",
            "a Terraform configuration",
        ),
        ("Dockerfile", "FROM alpine:3\nRUN true\n", "a Dockerfile"),
        (
            "Procfile",
            "web: bundle exec rails server\nworker: rake jobs\n",
            "a Procfile",
        ),
        (
            "containerapp.yaml",
            "type: Microsoft.App/containerApps\nproperties: {}\n",
            "an Azure resource",
        ),
        (
            "arm.json",
            r#"{ "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#", "resources": [] }"#,
            "an Azure resource",
        ),
        (
            "run.yaml",
            "apiVersion: serving.knative.dev/v1\nkind: Service\n",
            "Google Cloud Run",
        ),
        (
            "app.yaml",
            "runtime: python312\nhandlers: []\n",
            "an App Engine configuration",
        ),
        (
            "cloudbuild.yaml",
            "steps: [{ name: gcr.io/cloud-builders/docker }]\n",
            "a Cloud Build configuration",
        ),
        (
            "cdk.json",
            r#"{ "app": "npx ts-node bin/a.ts", "context": { "a": true } }"#,
            "a CDK configuration",
        ),
        (
            "Dockerrun.aws.json",
            r#"{ "AWSEBDockerrunVersion": 2, "containerDefinitions": [] }"#,
            "a Dockerrun file",
        ),
        (
            "serverless.yml",
            "service: web\nprovider: { name: aws }\nfunctions: { f: { handler: a } }\n",
            "Serverless",
        ),
        (
            "ecspresso.yml",
            "region: eu-west-1\ncluster: main\ntask_definition: task.json\n",
            "an ecspresso configuration",
        ),
        (
            "policy.json",
            r#"{ "Version": "2012-10-17", "Statement": [] }"#,
            "an IAM policy",
        ),
        (
            "event.json",
            r#"{ "eventSource": "ecs.amazonaws.com", "eventName": "RunTask" }"#,
            "a CloudTrail event",
        ),
        (
            "build.yml",
            "on: push\njobs: { a: { runs-on: ubuntu-latest } }\n",
            "a GitHub Actions workflow",
        ),
    ];

    let project = Project::new();
    for (name, text, kind) in files {
        project.write(name, text);
        let output = project.assemble(&["check", name]);
        assert_eq!(
            (output.code, &*output.out),
            (Some(2), ""),
            "{name}: {}",
            output.err
        );
        assert!(
            output.err.contains(&format!("`{name}` is ")),
            "{}",
            output.err
        );
        assert!(output.err.contains(kind), "{}", output.err);
        assert!(!output.err.contains("no findings"), "{}", output.err);

        let piped = pipe(&project, &["check", "-"], text);
        assert_eq!(piped.code, Some(2), "{name}: {}", piped.err);
        assert!(piped.err.contains(kind), "{name}: {}", piped.err);
    }
}

#[test]
fn a_directory_is_searched_for_documents() {
    let project = Project::new();
    project.write("deploy/stack.yaml", STACK);
    project.write(
        "deploy/compose.yaml",
        "services: { web: { image: 'web:1' } }\n",
    );
    project.write("deploy/node_modules/a/task.json", r#"{ "family": "a b" }"#);
    let output = project.assemble(&["check", "deploy"]);

    assert_eq!(output.code, Some(1), "{}", output.err);
    assert!(output.out.contains("error[T04]"), "{}", output.out);
    assert!(output.err.contains("1 finding"), "{}", output.err);
}

#[test]
fn compose_files_and_copilot_manifests_are_checked() {
    let project = Project::empty();
    let compose = "services:\n  web:\n    image: web:1\n    env_file: .env\n    privileged: true\n";
    project.write("compose.yaml", compose);
    let manifest = "name: api\ntype: Backend Service\nimage: { location: 'api:1' }\nmemory: 1500\n";
    project.write("manifest.yml", manifest);
    let output = project.assemble(&["check", "--format", "json", "compose.yaml", "manifest.yml"]);
    assert_eq!(output.code, Some(1), "{}", output.err);

    let json = output.json();
    let found: Vec<_> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            format!(
                "{} {} {}",
                finding["file"], finding["line"], finding["rule"]
            )
        })
        .collect();
    assert_eq!(
        found,
        ["\"compose.yaml\" 5 \"X01\"", "\"manifest.yml\" 4 \"T06\""]
    );
    assert_eq!(json["notEvaluated"][0]["line"], 4);
    assert!(
        output
            .err
            .contains("compose.yaml:4: `env_file` of `web` is not evaluated")
    );

    let piped = pipe(&project, &["check", "-"], compose);
    assert!(
        piped.out.contains("error[X01]"),
        "{}{}",
        piped.out,
        piped.err
    );
}

#[test]
fn verbs_that_change_or_register_refuse_other_forms_by_their_kind() {
    let project = Project::new();
    project.write("compose.yaml", "services: { web: { image: 'web:1' } }\n");
    project.write("list.json", r#"[{ "name": "a", "image": "a:1" }]"#);
    project.write(
        "policy.json",
        r#"{ "Version": "2012-10-17", "Statement": [] }"#,
    );
    project.write("stack.yaml", STACK);
    for (file, kind) in [
        ("compose.yaml", "is a Compose file"),
        ("list.json", "is a list of containers"),
        ("stack.yaml", "is a CloudFormation template"),
        ("policy.json", "is an IAM policy"),
    ] {
        for arguments in [
            &["import", file][..],
            &["inject", "web", "--into", file],
            &["size", file],
            &["graph", file],
        ] {
            let output = project.assemble(arguments);
            assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.err);
            assert!(output.err.contains(kind), "{arguments:?}: {}", output.err);
        }
    }
}

#[cfg(feature = "aws")]
#[test]
fn a_compose_file_is_not_registered() {
    let project = Project::new();
    project.write("compose.yaml", "services: { web: { image: 'web:1' } }\n");
    for verb in ["register", "diff"] {
        let output = project.assemble(&[verb, "compose.yaml", "--dry-run"]);
        assert_eq!(output.code, Some(2), "{}", output.err);
        assert!(output.err.contains("is a Compose file"), "{}", output.err);
        assert!(
            output.err.contains("assemble new assembly"),
            "{}",
            output.err
        );
    }
}

#[cfg(feature = "aws")]
#[test]
fn a_service_of_express_mode_is_not_registered() {
    let project = Project::new();
    let text = r#"{ "serviceName": "web", "infrastructureRoleArn": "arn:aws:iam::111122223333:role/a",
      "primaryContainer": { "image": "web:1" } }"#;
    project.write("express.json", text);
    let output = project.assemble(&["register", "express.json", "--dry-run"]);
    assert_eq!((output.code, &*output.out), (Some(2), ""), "{}", output.err);
    assert!(output.err.contains("Express Mode"), "{}", output.err);
}

#[test]
fn a_definition_for_ec2_is_checked_for_fargate() {
    let project = Project::empty();
    let text = r#"{ "family": "web", "requiresCompatibilities": ["EC2"], "networkMode": "bridge",
  "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 700, "links": ["db"] }] }"#;
    project.write("task.json", text);
    let plain = project.assemble(&["check", "task.json"]);
    assert_eq!(plain.code, Some(0), "{}", plain.out);

    let output = project.assemble(&["check", "--for", "fargate", "task.json"]);
    assert_eq!(output.code, Some(1), "{}", output.err);
    for expected in [
        "the definition is for EC2",
        "error[T04]",
        "256 / 1024",
        "error[X01]",
    ] {
        assert!(output.out.contains(expected), "{expected}: {}", output.out);
    }

    // What can be changed without a decision is changed.
    project.assemble(&["check", "--for", "fargate", "--fix", "task.json"]);
    let fixed = project.read("task.json");
    assert!(
        fixed.contains(r#""requiresCompatibilities": ["FARGATE"]"#),
        "{fixed}"
    );
    assert!(!fixed.contains("links"), "{fixed}");
}

#[test]
fn what_is_not_evaluated_is_named() {
    let project = Project::new();
    let text =
        "Resources:\n  Pool: { Type: AWS::ECS::CapacityProvider, Properties: { Name: pool } }\n";
    project.write("pool.yaml", text);
    let output = project.assemble(&["check", "pool.yaml"]);

    assert_eq!(output.code, Some(0), "{}", output.err);
    let note = "pool.yaml:2: `Pool` of type AWS::ECS::CapacityProvider is not evaluated";
    assert!(output.err.contains(note), "{}", output.err);
}
