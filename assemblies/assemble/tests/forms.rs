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
