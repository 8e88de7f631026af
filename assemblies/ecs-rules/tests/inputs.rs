//! Every input format is checked, and findings use the names and pointers of the file.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::source::{Source, parse};
use diagnostics::{Color, Finding, Location};
use ecs_rules::inputs::{DocumentKind, check_input, check_inputs, has_documents, read_input};
use task_definition::apply_fixes;

fn check_text(name: &str, text: &str) -> Vec<String> {
    let findings = check_input(&Source::new(name, text));
    findings.iter().map(format_finding).collect()
}

fn format_finding(finding: &Finding) -> String {
    let line = line_number(&finding.location);
    let pointer = finding.pointer.as_deref().unwrap_or_default();
    format!("{} {line} {pointer}: {}", finding.rule, finding.message)
}

fn line_number(location: &Location) -> usize {
    match location {
        Location::Text { line, .. } => *line,
        Location::Derived { from, .. } => line_number(from.as_deref().unwrap()),
        Location::Pointer(_) => 0,
    }
}

/// Returns a template of a Fargate definition with these properties, which start on line 7 without a head.
fn template(head: &str, properties: &str) -> String {
    format!(
        "{head}Resources:\n  Task:\n    Type: AWS::ECS::TaskDefinition\n    Properties:\n      \
         RequiresCompatibilities: [FARGATE]\n      NetworkMode: awsvpc\n{properties}"
    )
}

const SIZE: &str = "      Cpu: 256\n      Memory: 512\n";
const APP: &str = "      ContainerDefinitions:\n        - Name: app\n          Image: app:1\n";

#[test]
fn findings_in_a_template_use_its_names_and_lines() {
    let text = template(
        "",
        "      Cpu: 512\n      Memory: 1500\n      ContainerDefinitions:\n        - Name: app\n          \
         Image: app:1\n          Cpu: 1024\n          HealthCheck:\n            Command: [/healthy]\n",
    );

    assert_eq!(
        check_text("stack.yaml", &text),
        [
            "R01 7 /Resources/Task/Properties/Cpu: app 1024 CPU units; the task has 512",
            "T06 8 /Resources/Task/Properties/Memory: 512 CPU units with 1500 MiB is not a Fargate size",
            "H01 14 /Resources/Task/Properties/ContainerDefinitions/0/HealthCheck/Command: \
             the health check of `app` begins with `/healthy`",
        ]
    );
}

#[test]
fn findings_name_the_resource_of_a_template() {
    let resource = |name: &str, cpu: &str| {
        format!(
            r#""{name}": {{ "Type": "AWS::ECS::TaskDefinition", "Properties": {{
              "RequiresCompatibilities": ["FARGATE"], "NetworkMode": "awsvpc", "Cpu": "{cpu}", "Memory": "512",
              "ContainerDefinitions": [{{ "Name": "app", "Image": "app:1" }}] }} }}"#
        )
    };

    let text = format!(
        r#"{{ "Resources": {{ {}, {}, "Bucket": {{ "Type": "AWS::S3::Bucket" }} }} }}"#,
        resource("A", "256"),
        resource("B", "255")
    );
    let found = check_text("cdk.template.json", &text);

    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("/Resources/B/Properties/"), "{found:?}");
}

#[test]
fn a_finding_about_a_parameter_default_names_the_parameter() {
    let head = "Parameters:\n  Cpu: { Type: Number, Default: 300 }\n";
    let text = template(
        head,
        &format!("      Cpu: !Ref Cpu\n      Memory: 512\n{APP}"),
    );
    let found = check_input(&Source::new("stack.yaml", &*text));

    assert_eq!(found.len(), 1, "{found:?}");
    let rendered = found[0].render(Color::No);
    assert!(rendered.starts_with("error[T06]"), "{rendered}");
    assert!(
        rendered.contains("derived: the default of the parameter `Cpu`"),
        "{rendered}"
    );
    assert!(rendered.contains("Cpu: !Ref Cpu"), "{rendered}");
}

#[test]
fn findings_that_depend_on_unknown_values_are_dropped() {
    // All other rules depend on a reference; only the stopTimeout is certain.
    let head = "Parameters:\n  Cpu: { Type: Number }\n  Image: { Type: String }\n  Mode: { Type: String }\n";
    let properties = "      Cpu: !Ref Cpu\n      Memory: !GetAtt Some.Memory\n      \
        ExecutionRoleArn: !GetAtt Role.Arn\n      Volumes: !Ref Volumes\n      ContainerDefinitions:\n        \
        - Name: !Ref Name\n          Image: !Ref Image\n          Cpu: !Ref Cpu\n          Memory: 4000\n          \
        PortMappings: !FindInMap [A, B, C]\n          MountPoints: [{ SourceVolume: data, ContainerPath: /data }]\n          \
        Secrets: [{ Name: KEY, ValueFrom: !Sub '${Secret}:key::' }]\n        \
        - Name: proxy\n          Image: proxy:1\n          Cpu: 4000\n          DependsOn: [{ ContainerName: app, Condition: START }]\n          \
        StopTimeout: 500\n        - !If [Unknown, !Ref AWS::NoValue, !Ref More]\n";

    assert_eq!(
        check_text("stack.yaml", &template(head, properties)),
        [
            "H05 27 /Resources/Task/Properties/ContainerDefinitions/1/StopTimeout: stopTimeout of `proxy` is 500 s; Fargate allows 2 to 120"
        ]
    );
}

#[test]
fn each_branch_of_a_condition_is_checked_with_the_matching_branches() {
    let head = "Parameters:\n  Env: { Type: String, Default: dev }\nConditions:\n  Prod: !Equals [!Ref Env, prod]\n";
    let sizes = "      Cpu: !If [Prod, 1024, 256]\n      Memory: !If [Prod, 1024, 512]\n";
    let found = check_text("stack.yaml", &template(head, &format!("{sizes}{APP}")));
    assert_eq!(
        found,
        [
            "T06 12 /Resources/Task/Properties/Memory/Fn::If/1: 1024 CPU units with 1024 MiB is not a Fargate size"
        ]
    );

    // 1024 with 512 would be invalid, but the two branches never occur together.
    let sizes = "      Cpu: !If [Prod, 1024, 256]\n      Memory: !If [Prod, 2048, 512]\n";
    assert_eq!(
        check_text("stack.yaml", &template(head, &format!("{sizes}{APP}"))),
        [""; 0]
    );
}

#[test]
fn a_mapping_is_evaluated_for_every_value_of_a_parameter() {
    let head = "Parameters:\n  Env: { Type: String, AllowedValues: [dev, prod] }\nMappings:\n  Sizes:\n    \
        dev: { Cpu: 256, Memory: 512 }\n    prod: { Cpu: 1024, Memory: 1000 }\n";
    let sizes = "      Cpu: !FindInMap [Sizes, !Ref Env, Cpu]\n      Memory: !FindInMap [Sizes, !Ref Env, Memory]\n";
    let found = check_input(&Source::new(
        "stack.yaml",
        template(head, &format!("{sizes}{APP}")),
    ));

    assert_eq!(found.len(), 1, "{found:?}");
    let rendered = found[0].render(Color::No);
    assert!(
        rendered.contains("1024 CPU units with 1000 MiB"),
        "{rendered}"
    );
    assert!(
        rendered.contains("`Memory` of `prod` in the mapping `Sizes`"),
        "{rendered}"
    );
}

#[test]
fn no_value_removes_a_property_and_sub_without_variables_is_literal() {
    // The removed container shifts API indices; the finding keeps the index of the file.
    let head = "Parameters:\n  Role: { Type: String, Default: '' }\nConditions:\n  HasRole: !Not [!Equals [!Ref Role, '']]\n";
    let properties = format!(
        "{SIZE}      TaskRoleArn: !If [HasRole, !Ref Role, !Ref AWS::NoValue]\n      Family: !Sub 'my web'\n      \
         ContainerDefinitions:\n        - !Ref AWS::NoValue\n        - Name: app\n          Image: app:1\n          StopTimeout: 200\n"
    );

    assert_eq!(
        check_text("stack.yaml", &template(head, &properties)),
        [
            "T01 14 /Resources/Task/Properties/Family: `my web` is not a valid family",
            "H05 19 /Resources/Task/Properties/ContainerDefinitions/1/StopTimeout: stopTimeout of `app` is 200 s; Fargate allows 2 to 120",
        ]
    );
}

#[test]
fn the_known_part_of_a_text_is_checked_and_reported_as_written() {
    let properties = format!(
        "{SIZE}      ContainerDefinitions:\n        - Name: app\n          \
         Image: !Sub '${{AWS::AccountId}}.dkr.ecr.${{AWS::Region}}.amazonaws.com/app:latest'\n"
    );
    let found = check_text("stack.yaml", &template("", &properties));
    let rules: Vec<_> = found.iter().map(|finding| &finding[..3]).collect();
    assert_eq!(rules, ["T14", "C04"], "{found:?}");
    assert!(found[1].contains("${AWS::AccountId}.dkr.ecr"), "{found:?}");
}

#[test]
fn unknown_properties_and_wrong_types_use_cloudformation_names() {
    let properties = format!(
        "{SIZE}      memory: 512\n{APP}          Memry: 12\n          cpu: 1\n          Essential: maybe\n          Environment: {{ PORT: 1 }}\n"
    );
    let findings = check_input(&Source::new("stack.yaml", template("", &properties)));
    let found: Vec<_> = findings
        .iter()
        .map(|finding| format!("{} ({})", format_finding(finding), finding.hint))
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
fn a_service_is_checked_with_the_definition_it_refers_to() {
    let ports = "          PortMappings: [{ ContainerPort: 80 }]\n";
    let text = template("", &format!("{SIZE}{APP}{ports}{SERVICE}"));
    assert_eq!(
        check_text("stack.yaml", &text),
        [
            "P07 20 /Resources/Service/Properties/LoadBalancers/0/ContainerPort: `app` has no port 81 in its portMappings"
        ]
    );

    // The unknown port may be 81.
    let ports = "          PortMappings: [{ ContainerPort: !Ref Port }]\n";
    let text = template("", &format!("{SIZE}{APP}{ports}{SERVICE}"));
    assert_eq!(check_text("stack.yaml", &text), [""; 0]);

    // The unknown list may contain port 81.
    let ports = "          PortMappings: !Ref Ports\n";
    let text = template("", &format!("{SIZE}{APP}{ports}{SERVICE}"));
    assert_eq!(check_text("stack.yaml", &text), [""; 0]);
}

#[test]
fn a_list_of_containers_is_checked_without_task_fields() {
    // The volume, the execution role and the platform may all be in the missing part.
    let text = r#"[
  { "name": "app", "image": "app:1", "cpu": 128, "secrets": [{ "name": "KEY", "valueFrom": "key" }],
    "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }],
    "dependsOn": [{ "containerName": "missing", "condition": "START" }] },
  { "name": "proxy", "image": "proxy:1", "essential": false, "stopTimeout": 500 }
]"#;
    assert_eq!(
        check_text("containers.json", text),
        ["D01 4 /0/dependsOn/0/containerName: `app` depends on `missing`, which does not exist"]
    );
}

#[test]
fn findings_in_ecs_responses_use_the_pointers_of_the_response() {
    let definition = r#"{ "taskDefinition": { "taskDefinitionArn": "arn", "revision": 3, "family": "my web", "containerDefinitions": [
      { "name": "app", "image": "app:1", "memory": 8 }] }, "tags": [{ "key": "aws:x", "value": "1" }] }"#;
    let found = check_text("describe.json", definition);
    assert!(found[0].contains(" /taskDefinition/family: "), "{found:?}");
    assert!(found[1].contains(" /tags/0"), "{found:?}");

    let services = r#"{ "services": [{ "serviceArn": "arn", "status": "ACTIVE", "serviceName": "web", "events": [],
      "deployments": [{ "id": "1" }], "taskDefinition": "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:3",
      "launchType": "FARGATE", "schedulingStrategy": "DAEMON",
      "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } } }], "failures": [] }"#;
    let found = check_text("services.json", services);

    assert_eq!(
        found,
        ["Q02 3 /services/0/schedulingStrategy: Fargate does not support DAEMON scheduling"]
    );
}

#[test]
fn a_request_is_checked_with_a_definition_of_another_file() {
    let run = r#"{ "cluster": "main", "taskDefinition": "web:7", "count": 12,
      "overrides": { "containerOverrides": [{ "name": "ap", "cpu": "12" }] } }"#;
    let found = check_text("run.json", run);
    assert_eq!(
        found,
        [
            "Q01 1 /count: one request starts 1 to 10 tasks, not 12",
            "C06 2 /overrides/containerOverrides/0/cpu: `cpu` must be a non-negative integer, not a string"
        ]
    );

    let run = run.replace("\"12\"", "12");
    let definition = r#"{ "family": "web", "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 8 }] }"#;
    let findings = check_inputs(&[
        Source::new("run.json", run),
        Source::new("web.json", definition),
    ]);
    let found: Vec<_> = findings.iter().map(format_finding).collect();

    assert_eq!(
        found,
        [
            "Q01 1 /count: one request starts 1 to 10 tasks, not 12",
            "Q01 2 /overrides/containerOverrides/0/name: the definition has no container `ap` to override",
        ]
    );
}

fn fix_all(text: &str) -> String {
    let source = Source::new("stack.yaml", text);
    let fixes: Vec<_> = check_input(&source)
        .into_iter()
        .filter_map(|finding| finding.fix)
        .collect();
    apply_fixes(&source, &fixes).unwrap()
}

#[test]
fn fixes_use_the_names_of_the_file_and_skip_derived_values() {
    let right = template("", &format!("{SIZE}{APP}"));
    let wrong = right
        .replace("awsvpc", "bridge")
        .replace("Image:", "image:");

    // The unknown property hides the network mode at first, so two rounds are needed.
    assert_eq!(fix_all(&fix_all(&wrong)), right);
    let head = "Parameters: { Mode: { Type: String, Default: bridge } }\n";
    // The mode is written at the parameter, where other resources may use it.
    let derived = template(head, &format!("{SIZE}{APP}")).replace("awsvpc", "!Ref Mode");
    let found = check_input(&Source::new("stack.yaml", derived));

    assert_eq!(found.len(), 1);
    assert!(
        found[0].hint.contains("\"NetworkMode\": \"awsvpc\""),
        "{found:?}"
    );
    assert_eq!(found[0].fix, None);
}

#[test]
fn detects_supported_formats_only() {
    let is_supported = |text: &str| has_documents(&parse(&Source::new("file", text)).unwrap());
    assert!(is_supported("Resources: {}"));
    assert!(is_supported("family: web"));
    assert!(is_supported("{ serviceName: web, taskDefinition: web }"));
    assert!(is_supported("{ taskDefinition: web, cluster: main }"));
    assert!(is_supported(
        "{ Type: AWS::ECS::Service, Properties: { TaskDefinition: web } }"
    ));
    assert!(is_supported("[{ name: app, image: app }]"));

    assert!(is_supported("services: { web: { image: app } }"));

    // An assembly manifest and an unrelated list.
    assert!(!is_supported("{ name: web, app: coins }"));
    assert!(!is_supported("[1, 2]"));
    assert!(!is_supported(
        "{ name: web, service: { min: 1 }, app: coins, taskDefinition: { cpu: 1 } }"
    ));
}

#[test]
fn cyclic_conditions_terminate() {
    let head = "Conditions:\n  A: !Not [!Condition B]\n  B: !Not [!Condition A]\n";
    let text = template(
        head,
        &format!("{SIZE}{APP}          StopTimeout: !If [A, 30, !If [B, 31, 32]]\n"),
    );
    assert_eq!(check_text("stack.yaml", &text), [""; 0]);
}

#[test]
fn a_conditional_resource_is_checked() {
    let head = "Conditions:\n  On: !Equals [!Ref AWS::Region, eu-central-1]\n";
    let text = template(head, &format!("{SIZE}{APP}          StopTimeout: 500\n")).replace(
        "    Type: AWS::ECS",
        "    Condition: On\n    Type: AWS::ECS",
    );
    let input = read_input(&Source::new("stack.yaml", &*text));

    // The condition compares a pseudo parameter, which has no default: false is tried first.
    assert_eq!(
        input.variants.iter().map(Vec::len).collect::<Vec<_>>(),
        [0, 1]
    );
    assert!(matches!(
        input.variants[1][0].kind,
        DocumentKind::Definition(_)
    ));
    assert_eq!(check_text("stack.yaml", &text).len(), 1);
}

#[test]
fn nulls_are_absent_fields() {
    // Terraform, ecspresso and the deploy action of GitHub write null for unset fields.
    let containers = r#"[{ "name": "web", "image": "nginx:1.29.5", "essential": true, "cpu": 0,
      "memory": null, "memoryReservation": 512, "environment": null, "command": null,
      "healthCheck": null, "portMappings": [{ "containerPort": 80, "name": null }] }]"#;
    let definition = r#"{ "family": "web", "volumes": [{ "name": "data", "host": null }],
      "containerDefinitions": [{ "name": "app", "image": "app:1", "memory": 8, "secrets": null,
        "mountPoints": [{ "sourceVolume": "data", "containerPath": "/data" }] }] }"#;
    for text in [containers, definition] {
        let found = check_input(&Source::new("case.json", text));
        assert!(found.is_empty(), "{found:?}");
    }

    // The rules still check the rest.
    let wrong = definition.replace("app:1", "App:1");
    let found = check_input(&Source::new("case.json", wrong));
    assert_eq!(found[0].rule, "C03", "{found:?}");
}

#[test]
fn a_service_without_a_name_is_checked() {
    let text = r#"{ "launchType": "FARGATE", "desiredCount": 1, "schedulingStrategy": "DAEMON",
      "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
      "deploymentConfiguration": { "deploymentCircuitBreaker": { "enable": true, "rollback": true } } }"#;
    let rules: Vec<_> = check_input(&Source::new("service.json", text))
        .iter()
        .map(|finding| finding.rule)
        .collect();
    assert_eq!(rules, ["Q02"]);
}

#[test]
fn an_included_file_may_have_every_absent_property() {
    let text = "
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Fn::Transform: { Name: AWS::Include, Parameters: { Location: s3://bucket/task.yaml } }
      Cpu: 256
      Memory: 512
      ContainerDefinitions:
        - Fn::Transform: { Name: AWS::Include, Parameters: { Location: s3://bucket/web.yaml } }
        - { Name: side, Image: 'busybox:1.36' }
";
    let found = check_input(&Source::new("stack.yaml", text));
    assert!(found.is_empty(), "{found:?}");

    // The rest of the file is judged.
    let found = check_input(&Source::new(
        "stack.yaml",
        text.replace("busybox:1.36", "Busy:1"),
    ));
    assert_eq!(found[0].rule, "C03", "{found:?}");
}

#[test]
fn a_type_error_does_not_hide_other_findings() {
    let text = r#"{
  "family": "my shop",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "host",
  "cpu": 512,
  "memory": "600",
  "containerDefinitions": [
    { "name": "shop", "image": "shop:1", "privileged": true, "stopTimeout": "soon",
      "environment": [{ "name": "LEVEL", "value": 5 }] }
  ]
}"#;

    let found = check_text("shop.json", text);
    let rules: Vec<&str> = found.iter().map(|line| &line[..3]).collect();
    // The family, the network mode, the size with the number for a string, the privileged container, three types.
    for rule in ["T01", "T04", "T06", "X01", "C06"] {
        assert!(rules.contains(&rule), "{rule} is missing: {found:#?}");
    }
    assert_eq!(rules.iter().filter(|rule| **rule == "C06").count(), 3);
    // Any number of seconds may be meant, so nothing is said about the range.
    assert!(!rules.contains(&"H05"), "{found:#?}");
}

#[test]
fn a_misspelt_property_does_not_hide_other_findings() {
    let text = template(
        "",
        "      Cpu: 256\n      Memory: 300\n      ContainerDefinition:\n        - Name: app\n          Image: app:1\n",
    );

    let found = check_text("stack.yaml", &text);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("T06"), "{found:#?}");
    assert!(found[1].starts_with("C05"), "{found:#?}");
}

#[test]
fn a_service_with_a_type_error_is_checked() {
    let text = r#"{ "serviceName": "web", "taskDefinition": "web", "launchType": "FARGATE",
      "desiredCount": "two", "schedulingStrategy": "DAEMON" }"#;
    let found = check_text("service.json", text);

    assert!(
        found.iter().any(|line| line.starts_with("C06")),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|line| !line.starts_with("C06")),
        "{found:#?}"
    );
}

#[test]
fn resources_of_a_terraform_plan_are_checked() {
    // The role is known only after apply; the size, the mode and the null are the file's.
    let text = r#"{ "format_version": "1.2",
      "planned_values": { "root_module": { "child_modules": [{ "resources": [
        { "address": "module.a.aws_ecs_task_definition.shop", "mode": "managed", "type": "aws_ecs_task_definition",
          "values": { "family": "shop", "cpu": "512", "memory": "600", "network_mode": "bridge",
            "requires_compatibilities": ["FARGATE"], "ipc_mode": "", "tags": { "a": "b" }, "skip_destroy": false,
            "ephemeral_storage": [{ "size_in_gib": 900 }],
            "container_definitions": "[{\"name\":\"shop\",\"image\":\"shop:1\",\"cpu\":null}]" } }] }] } },
      "resource_changes": [{ "address": "module.a.aws_ecs_task_definition.shop",
        "change": { "after_unknown": { "execution_role_arn": true, "volume": [] } } }] }"#;

    let found = check_text("plan.json", text);
    let mut rules: Vec<&str> = found.iter().map(|line| &line[..3]).collect();
    rules.sort_unstable();
    assert_eq!(rules.len(), 3, "{found:#?}");
    assert!(
        rules.contains(&"T04") && rules.contains(&"T06"),
        "{found:#?}"
    );
    let at = "/planned_values/root_module/child_modules/0/resources/0/values/network_mode";
    assert!(found.iter().any(|line| line.contains(at)), "{found:#?}");
}

#[test]
fn template_functions_of_ecspresso_are_unknown() {
    let text = r#"{ "family": "{{ must_env `NAME` }}", "requiresCompatibilities": ["FARGATE"], "networkMode": "host",
      "cpu": "{{ env `CPU` `256` }}", "memory": "512", "executionRoleArn": "{{ tfstate "aws_iam_role.a.arn" }}",
      "containerDefinitions": [{ "name": "app", "image": "{{ must_env `IMAGE` }}:{{ must_env `TAG` }}",
        "portMappings": [{ "containerPort": {{ env `PORT` `8080` }} }] }] }"#;

    let found = check_text("task.json", text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("T04 1 /networkMode"), "{found:#?}");
}

#[test]
fn a_loop_over_a_literal_list_is_expanded() {
    let text = "Transform: AWS::LanguageExtensions\nResources:\n  Fn::ForEach::Tasks:\n    - Name\n    \
        - [Api, Worker]\n    - '${Name}Task':\n        Type: AWS::ECS::TaskDefinition\n        Properties:\n          \
        RequiresCompatibilities: [FARGATE]\n          NetworkMode: bridge\n          Cpu: 256\n          \
        Memory: 512\n          ContainerDefinitions: [{ Name: !Sub '${Name}', Image: 'app:1' }]\n";
    let found = check_text("stack.yaml", text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("T04 10 /Resources/Fn::ForEach::Tasks/2/${Name}Task"),
        "{found:#?}"
    );

    let unknown = text.replace("[Api, Worker]", "!Ref Names");
    let input = read_input(&Source::new("stack.yaml", unknown));
    assert!(input.documents().is_empty());
    assert_eq!(input.not_evaluated.len(), 1);
    assert!(
        input.not_evaluated[0]
            .message
            .contains("`Fn::ForEach::Tasks` is not evaluated")
    );
}

#[test]
fn properties_of_a_macro_are_unknown() {
    let text = "Resources:\n  Task:\n    Type: AWS::ECS::TaskDefinition\n    Properties:\n      \
        Fn::Transform: { Name: AWS::Include, Parameters: { Location: 's3://b/a.yaml' } }\n      Cpu: 256\n      \
        Memory: 512\n      ContainerDefinitions:\n        \
        - Fn::Transform: { Name: AWS::Include, Parameters: { Location: 's3://b/c.yaml' } }\n        \
        - { Name: side, Image: 'side:1' }\n";
    let source = Source::new("stack.yaml", text);

    assert_eq!(check_input(&source), []);
    assert_eq!(read_input(&source).not_evaluated.len(), 2);
}
