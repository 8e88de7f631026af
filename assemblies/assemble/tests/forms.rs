//! `check` accepts task definitions, services and requests in every supported form.

mod support;

use support::Project;

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
            "compose.yaml",
            "services: { web: { image: 'web:1', ports: ['80:80'] } }\n",
            "a Compose file",
        ),
        (
            "copilot.yml",
            "name: web\ntype: Backend Service\nimage: { port: 80 }\n",
            "an AWS Copilot manifest",
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
fn what_is_not_evaluated_is_named() {
    let project = Project::new();
    let text = "Resources:\n  Web: { Type: AWS::ECS::ExpressGatewayService, Properties: { ServiceName: web } }\n";
    project.write("express.yaml", text);
    let output = project.assemble(&["check", "express.yaml"]);

    assert_eq!(output.code, Some(0), "{}", output.err);
    let note = "express.yaml:2: `Web` of type AWS::ECS::ExpressGatewayService is not evaluated";
    assert!(output.err.contains(note), "{}", output.err);
}
