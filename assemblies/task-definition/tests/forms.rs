//! Every form in which people hold definitions, services and requests is judged, in their own words.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may fail loudly and talk"
)]

use task_definition::forms::{Subject, judge, judge_all, read_any, recognises};
use task_definition::source::{Source, parse};
use task_definition::{Color, Finding, Place, mend};

fn said(name: &str, text: &str) -> Vec<String> {
    let findings = judge(&Source::new(name, text));
    findings.iter().map(line).collect()
}

fn line(finding: &Finding) -> String {
    let line = position(&finding.place);
    let pointer = finding.pointer.as_deref().unwrap_or_default();
    format!("{} {line} {pointer}: {}", finding.rule, finding.message)
}

fn position(place: &Place) -> usize {
    match place {
        Place::Text { line, .. } => *line,
        Place::Derived { from, .. } => position(from.as_deref().unwrap()),
        Place::Pointer(_) => 0,
    }
}

/// A template with these properties of a definition beside a correct Fargate size, in lines from 9.
fn template(head: &str, properties: &str) -> String {
    format!(
        "{head}Resources:\n  Task:\n    Type: AWS::ECS::TaskDefinition\n    Properties:\n      \
         RequiresCompatibilities: [FARGATE]\n      NetworkMode: awsvpc\n{properties}"
    )
}

const SIZE: &str = "      Cpu: 256\n      Memory: 512\n";
const APP: &str = "      ContainerDefinitions:\n        - Name: app\n          Image: app:1\n";

#[test]
fn a_template_is_judged_in_its_own_words_and_lines() {
    let text = template(
        "",
        "      Cpu: 512\n      Memory: 1500\n      ContainerDefinitions:\n        - Name: app\n          \
         Image: app:1\n          Cpu: 1024\n          HealthCheck:\n            Command: [/healthy]\n",
    );

    assert_eq!(
        said("stack.yaml", &text),
        [
            "R01 7 /Resources/Task/Properties/Cpu: app 1024 CPU units; the task has 512",
            "T06 8 /Resources/Task/Properties/Memory: 512 CPU units with 1500 MiB is no Fargate size",
            "H01 14 /Resources/Task/Properties/ContainerDefinitions/0/HealthCheck/Command: \
             the health check of `app` begins with `/healthy`",
        ]
    );
}

#[test]
fn several_definitions_of_a_template_are_told_apart() {
    let one = |name: &str, cpu: &str| {
        format!(
            r#""{name}": {{ "Type": "AWS::ECS::TaskDefinition", "Properties": {{
              "RequiresCompatibilities": ["FARGATE"], "NetworkMode": "awsvpc", "Cpu": "{cpu}", "Memory": "512",
              "ContainerDefinitions": [{{ "Name": "app", "Image": "app:1" }}] }} }}"#
        )
    };

    let text = format!(
        r#"{{ "Resources": {{ {}, {}, "Bucket": {{ "Type": "AWS::S3::Bucket" }} }} }}"#,
        one("A", "256"),
        one("B", "255")
    );
    let found = said("cdk.template.json", &text);

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("/Resources/B/Properties/"), "{found:?}");
}

#[test]
fn the_default_of_a_parameter_is_judged_and_said_to_be_one() {
    let head = "Parameters:\n  Cpu: { Type: Number, Default: 300 }\n";
    let text = template(
        head,
        &format!("      Cpu: !Ref Cpu\n      Memory: 512\n{APP}"),
    );
    let found = judge(&Source::new("stack.yaml", &*text));

    assert_eq!(found.len(), 1, "{found:?}");
    let shown = found[0].render(Color::No);
    assert!(shown.starts_with("error[T06]"), "{shown}");
    assert!(
        shown.contains("worked out: the default of the parameter `Cpu`"),
        "{shown}"
    );
    assert!(shown.contains("Cpu: !Ref Cpu"), "{shown}");
}

#[test]
fn what_hangs_on_an_unknown_value_is_not_said_and_the_rest_is() {
    let head = "Parameters:\n  Cpu: { Type: Number }\n  Image: { Type: String }\n  Mode: { Type: String }\n";
    let properties = "      Cpu: !Ref Cpu\n      Memory: !GetAtt Some.Memory\n      \
        ExecutionRoleArn: !GetAtt Role.Arn\n      Volumes: !Ref Volumes\n      ContainerDefinitions:\n        \
        - Name: !Ref Name\n          Image: !Ref Image\n          Cpu: !Ref Cpu\n          Memory: 4000\n          \
        PortMappings: !FindInMap [A, B, C]\n          MountPoints: [{ SourceVolume: data, ContainerPath: /data }]\n          \
        Secrets: [{ Name: KEY, ValueFrom: !Sub '${Secret}:key::' }]\n        \
        - Name: proxy\n          Image: proxy:1\n          Cpu: 4000\n          DependsOn: [{ ContainerName: app, Condition: START }]\n          \
        StopTimeout: 500\n        - !If [Unknown, !Ref AWS::NoValue, !Ref More]\n";

    assert_eq!(
        said("stack.yaml", &template(head, properties)),
        [
            "H05 27 /Resources/Task/Properties/ContainerDefinitions/1/StopTimeout: stopTimeout of `proxy` is 500 s; Fargate allows 2 to 120"
        ]
    );
}

#[test]
fn both_branches_of_a_condition_are_judged_together_with_what_belongs_to_them() {
    let head = "Parameters:\n  Env: { Type: String, Default: dev }\nConditions:\n  Prod: !Equals [!Ref Env, prod]\n";
    let sizes = "      Cpu: !If [Prod, 1024, 256]\n      Memory: !If [Prod, 1024, 512]\n";
    let found = said("stack.yaml", &template(head, &format!("{sizes}{APP}")));
    assert_eq!(
        found,
        [
            "T06 12 /Resources/Task/Properties/Memory/Fn::If/1: 1024 CPU units with 1024 MiB is no Fargate size"
        ]
    );

    let sizes = "      Cpu: !If [Prod, 1024, 256]\n      Memory: !If [Prod, 2048, 512]\n";
    assert_eq!(
        said("stack.yaml", &template(head, &format!("{sizes}{APP}"))),
        [""; 0]
    );
}

#[test]
fn a_mapping_is_looked_up_for_every_key_that_a_parameter_can_be() {
    let head = "Parameters:\n  Env: { Type: String, AllowedValues: [dev, prod] }\nMappings:\n  Sizes:\n    \
        dev: { Cpu: 256, Memory: 512 }\n    prod: { Cpu: 1024, Memory: 1000 }\n";
    let sizes = "      Cpu: !FindInMap [Sizes, !Ref Env, Cpu]\n      Memory: !FindInMap [Sizes, !Ref Env, Memory]\n";
    let found = judge(&Source::new(
        "stack.yaml",
        template(head, &format!("{sizes}{APP}")),
    ));

    assert_eq!(found.len(), 1, "{found:?}");
    let shown = found[0].render(Color::No);
    assert!(shown.contains("1024 CPU units with 1000 MiB"), "{shown}");
    assert!(
        shown.contains("`Memory` of `prod` in the mapping `Sizes`"),
        "{shown}"
    );
}

#[test]
fn no_value_is_no_value_and_a_text_without_variables_is_itself() {
    let head = "Parameters:\n  Role: { Type: String, Default: '' }\nConditions:\n  HasRole: !Not [!Equals [!Ref Role, '']]\n";
    let properties = format!(
        "{SIZE}      TaskRoleArn: !If [HasRole, !Ref Role, !Ref AWS::NoValue]\n      Family: !Sub 'my web'\n      \
         ContainerDefinitions:\n        - !Ref AWS::NoValue\n        - Name: app\n          Image: app:1\n          StopTimeout: 200\n"
    );

    assert_eq!(
        said("stack.yaml", &template(head, &properties)),
        [
            "T01 14 /Resources/Task/Properties/Family: `my web` cannot be a family",
            "H05 19 /Resources/Task/Properties/ContainerDefinitions/1/StopTimeout: stopTimeout of `app` is 200 s; Fargate allows 2 to 120",
        ]
    );
}

#[test]
fn what_is_known_of_a_text_is_judged_with_its_variables_as_they_are_written() {
    let properties = format!(
        "{SIZE}      ContainerDefinitions:\n        - Name: app\n          \
         Image: !Sub '${{AWS::AccountId}}.dkr.ecr.${{AWS::Region}}.amazonaws.com/app:latest'\n"
    );
    let found = said("stack.yaml", &template("", &properties));
    let rules: Vec<_> = found.iter().map(|one| &one[..3]).collect();
    assert_eq!(rules, ["T14", "C04"], "{found:?}");
    assert!(found[1].contains("${AWS::AccountId}.dkr.ecr"), "{found:?}");
}

#[test]
fn unknown_properties_and_wrong_types_are_said_in_the_words_of_templates() {
    let properties = format!(
        "{SIZE}      memory: 512\n{APP}          Memry: 12\n          cpu: 1\n          Essential: maybe\n          Environment: {{ PORT: 1 }}\n"
    );
    let found = judge(&Source::new("stack.yaml", template("", &properties)));
    let found: Vec<_> = found
        .iter()
        .map(|one| format!("{} ({})", line(one), one.hint))
        .collect();
    let at = "/Resources/Task/Properties";

    assert_eq!(
        found,
        [
            format!(
                "C05 9 {at}/memory: AWS::ECS::TaskDefinition has no property `memory` (did you mean `Memory`?)"
            ),
            format!(
                "C05 13 {at}/ContainerDefinitions/0/Memry: a container has no property `Memry` (did you mean `Memory`?)"
            ),
            format!(
                "C05 14 {at}/ContainerDefinitions/0/cpu: a container has no property `cpu` (did you mean `Cpu`?)"
            ),
            format!(
                "C06 15 {at}/ContainerDefinitions/0/Essential: `Essential` must be true or false, not a string (write true or false)"
            ),
            format!(
                "C06 16 {at}/ContainerDefinitions/0/Environment: `Environment` must be a list, not a map (put the map into a list: [{{…}}])"
            ),
        ]
    );
}

const SERVICE: &str = "  Service:\n    Type: AWS::ECS::Service\n    Properties:\n      LaunchType: FARGATE\n      \
    TaskDefinition: !Ref Task\n      NetworkConfiguration: { AwsvpcConfiguration: { Subnets: !Ref Subnets } }\n      \
    DeploymentConfiguration: { DeploymentCircuitBreaker: { Enable: true, Rollback: true } }\n      \
    LoadBalancers: [{ TargetGroupArn: !Ref Group, ContainerName: app, ContainerPort: 81 }]\n";

#[test]
fn a_service_is_judged_beside_the_definition_that_it_refers_to() {
    let ports = "          PortMappings: [{ ContainerPort: 80 }]\n";
    let text = template("", &format!("{SIZE}{APP}{ports}{SERVICE}"));
    assert_eq!(
        said("stack.yaml", &text),
        [
            "P07 20 /Resources/Service/Properties/LoadBalancers/0/ContainerPort: `app` has no port 81 in its portMappings"
        ]
    );

    // The port may be the right one.
    let ports = "          PortMappings: [{ ContainerPort: !Ref Port }]\n";
    let text = template("", &format!("{SIZE}{APP}{ports}{SERVICE}"));
    assert_eq!(said("stack.yaml", &text), [""; 0]);

    // There may be such a port.
    let ports = "          PortMappings: !Ref Ports\n";
    let text = template("", &format!("{SIZE}{APP}{ports}{SERVICE}"));
    assert_eq!(said("stack.yaml", &text), [""; 0]);
}

#[test]
fn a_list_of_containers_is_judged_as_far_as_it_goes() {
    let text = r#"[
  { "name": "app", "image": "app:1", "cpu": 128, "secrets": [{ "name": "KEY", "valueFrom": "key" }],
    "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }],
    "dependsOn": [{ "containerName": "nobody", "condition": "START" }] },
  { "name": "proxy", "image": "proxy:1", "essential": false, "stopTimeout": 500 }
]"#;
    assert_eq!(
        said("containers.json", text),
        ["D01 4 /0/dependsOn/0/containerName: `app` depends on `nobody`, which does not exist"]
    );
}

#[test]
fn answers_of_ecs_are_judged_with_the_pointers_of_the_answer() {
    let definition = r#"{ "taskDefinition": { "taskDefinitionArn": "arn", "revision": 3, "family": "my web", "containerDefinitions": [
      { "name": "app", "image": "app:1", "memory": 8 }] }, "tags": [{ "key": "aws:x", "value": "1" }] }"#;
    let found = said("describe.json", definition);
    assert!(found[0].contains(" /taskDefinition/family: "), "{found:?}");
    assert!(found[1].contains(" /tags/0"), "{found:?}");

    let services = r#"{ "services": [{ "serviceArn": "arn", "status": "ACTIVE", "serviceName": "web", "events": [],
      "deployments": [{ "id": "1" }], "taskDefinition": "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:3",
      "launchType": "FARGATE", "schedulingStrategy": "DAEMON",
      "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } } }], "failures": [] }"#;
    let found = said("services.json", services);

    assert_eq!(
        found,
        [
            "Q02 3 /services/0/schedulingStrategy: Fargate has no machines on which one task each could run"
        ]
    );
}

#[test]
fn a_request_is_judged_beside_a_definition_of_another_file() {
    let run = r#"{ "cluster": "main", "taskDefinition": "web:7", "count": 12,
      "overrides": { "containerOverrides": [{ "name": "ap", "cpu": "12" }] } }"#;
    let found = said("run.json", run);
    assert_eq!(
        found,
        [
            "C06 2 /overrides/containerOverrides/0/cpu: `cpu` must be a whole number from 0, not a string"
        ]
    );

    let run = run.replace("\"12\"", "12");
    let definition = r#"{ "family": "web", "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 8 }] }"#;
    let found = judge_all(&[
        Source::new("run.json", run),
        Source::new("web.json", definition),
    ]);
    let found: Vec<_> = found.iter().map(line).collect();

    assert_eq!(
        found,
        [
            "Q01 1 /count: 12 tasks cannot be started by one request; it takes 1 to 10",
            "Q01 2 /overrides/containerOverrides/0/name: the definition has no container `ap` to override",
        ]
    );
}

fn mended(text: &str) -> String {
    let source = Source::new("stack.yaml", text);
    let fixes: Vec<_> = judge(&source)
        .into_iter()
        .filter_map(|one| one.fix)
        .collect();
    mend(&source, &fixes).unwrap()
}

#[test]
fn a_fix_is_in_the_words_of_the_file_and_only_for_what_is_written_there() {
    let right = template("", &format!("{SIZE}{APP}"));
    let wrong = right
        .replace("awsvpc", "bridge")
        .replace("Image:", "image:");

    assert_eq!(mended(&mended(&wrong)), right);
    let head = "Parameters: { Mode: { Type: String, Default: bridge } }\n";
    let elsewhere = template(head, &format!("{SIZE}{APP}")).replace("awsvpc", "!Ref Mode");
    let found = judge(&Source::new("stack.yaml", elsewhere));

    assert_eq!(found.len(), 1);
    assert!(
        found[0].hint.contains("\"NetworkMode\": \"awsvpc\""),
        "{found:?}"
    );
    assert_eq!(found[0].fix, None);
}

#[test]
fn knows_its_forms_and_nothing_else() {
    let yes = |text: &str| recognises(&parse(&Source::new("file", text)).unwrap());
    assert!(yes("Resources: {}"));
    assert!(yes("family: web"));
    assert!(yes("{ serviceName: web, taskDefinition: web }"));
    assert!(yes("{ taskDefinition: web, cluster: main }"));
    assert!(yes(
        "{ Type: AWS::ECS::Service, Properties: { TaskDefinition: web } }"
    ));
    assert!(yes("[{ name: app, image: app }]"));

    assert!(!yes("{ name: web, app: coins }"));
    assert!(!yes("services: { web: { image: app } }"));
    assert!(!yes("[1, 2]"));
    assert!(!yes(
        "{ name: web, service: { min: 1 }, app: coins, taskDefinition: { cpu: 1 } }"
    ));
}

#[test]
fn conditions_that_ask_each_other_in_a_circle_end() {
    let head = "Conditions:\n  A: !Not [!Condition B]\n  B: !Not [!Condition A]\n";
    let text = template(
        head,
        &format!("{SIZE}{APP}          StopTimeout: !If [A, 30, !If [B, 31, 32]]\n"),
    );
    assert_eq!(said("stack.yaml", &text), [""; 0]);
}

#[test]
fn a_definition_that_exists_under_a_condition_only_is_judged() {
    let head = "Conditions:\n  On: !Equals [!Ref AWS::Region, eu-central-1]\n";
    let text = template(head, &format!("{SIZE}{APP}          StopTimeout: 500\n")).replace(
        "    Type: AWS::ECS",
        "    Condition: On\n    Type: AWS::ECS",
    );
    let reading = read_any(&Source::new("stack.yaml", &*text));

    assert_eq!(
        reading.worlds.iter().map(Vec::len).collect::<Vec<_>>(),
        [0, 1]
    );
    assert!(matches!(
        reading.worlds[1][0].subject,
        Subject::Definition(_)
    ));
    assert_eq!(said("stack.yaml", &text).len(), 1);
}
