//! `check` takes definitions, services and requests in every form in which people hold them.

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
fn a_template_is_checked_in_its_own_words() {
    let project = Project::new();
    project.write("stack.yaml", STACK);
    let said = project.assemble(&["check", "--format", "json", "stack.yaml"]);
    assert_eq!(said.code, Some(1), "{}", said.err);

    let found = &said.json()["findings"];
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(found[0]["rule"], "T04");
    assert_eq!(found[0]["line"], 6);

    assert_eq!(
        found[0]["pointer"],
        "/Resources/Task/Properties/NetworkMode"
    );
}

#[test]
fn a_service_is_checked_beside_a_definition_of_another_file() {
    let project = Project::new();
    project.write(
        "task.json",
        r#"{ "family": "web", "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 8 }] }"#,
    );
    project.write(
        "run.json",
        r#"{ "taskDefinition": "web", "overrides": { "containerOverrides": [{ "name": "ap" }] } }"#,
    );

    let alone = project.assemble(&["check", "run.json"]);
    assert_eq!((alone.code, &*alone.out), (Some(0), ""));
    let beside = project.assemble(&["check", "run.json", "task.json"]);
    assert_eq!(beside.code, Some(1));
    assert!(beside.out.contains("error[Q01]"), "{}", beside.out);
    assert!(beside.out.contains("did you mean `app`?"), "{}", beside.out);
}

#[test]
fn a_rule_about_services_is_explained_with_what_is_said_about_its_failing_case() {
    let project = Project::new();
    let said = project.assemble(&["explain", "P07"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("has no port 8081"), "{}", said.out);
}

#[test]
fn a_manifest_stays_a_manifest() {
    let project = Project::new();
    let said = project.assemble(&["check", "assemblies/shop.yaml"]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
}
