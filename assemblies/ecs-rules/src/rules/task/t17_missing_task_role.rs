use diagnostics::Severity;
use task_definition::{ContainerDefinition, LocatedDefinition};

use crate::images::{ImageFact, ImageFacts};
use crate::rules::shared::{containers, logs};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T17",
    name: "missing-task-role",
    severity: Severity::Warning,
    title: "container calls AWS without a task role",
    explanation: "Programs in a container use taskRoleArn; the execution role is for ECS itself and \
                  not available inside. EFS with iam ENABLED, a log router that writes to \
                  CloudWatch, Kinesis, Firehose or S3, the X-Ray daemon and the CloudWatch agent all \
                  call AWS. The rule applies to Fargate only, because elsewhere the instance role \
                  may be used. It cannot detect a task role that is not needed.",
    source: "ECS API, RegisterTaskDefinition, field taskRoleArn; EFSAuthorizationConfig, field \
                  iam; developer guide, task IAM role",
    hint: "Set taskRoleArn to a role that ecs-tasks.amazonaws.com may assume.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "taskRoleArn": "arn:aws:iam::111122223333:role/web",
  "containerDefinitions": [{ "name": "xray", "image": "aws-xray-daemon:3.3.12" }]
}"#,
    // The X-Ray daemon calls AWS with the task role, which is missing.
    failing: Failing::Document(
        r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "xray", "image": "aws-xray-daemon:3.3.12" }]
}"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if definition.task_role_arn.is_some() || !definition.is_fargate() {
        return;
    }
    // One role serves the whole task, so the first use is enough.
    let hint = "set \"taskRoleArn\" to a role with the permissions of the task's programs";
    if let Some((pointer, what)) = efs_mount(located)
        .or_else(|| log_output(located))
        .or_else(|| aws_agent(located, report.images()))
    {
        report.add(pointer, format!("{what}, which needs a taskRoleArn"), hint);
    }
}

type Usage = Option<(String, String)>;

fn efs_mount(located: &LocatedDefinition) -> Usage {
    let mut volumes = located.definition.volumes.iter().enumerate();
    volumes.find_map(|(index, volume)| {
        let efs = volume.efs_volume_configuration.as_ref()?;
        let authorization = efs.authorization_config.as_ref()?;
        (authorization.iam.as_deref() == Some("ENABLED")).then(|| {
            let pointer =
                format!("/volumes/{index}/efsVolumeConfiguration/authorizationConfig/iam");
            let what = format!("the volume `{}` mounts EFS with the task role", volume.name);
            (pointer, what)
        })
    })
}

fn log_output(located: &LocatedDefinition) -> Usage {
    logs(located).find_map(|(pointer, container, log)| {
        // Fluent Bit selects the output by `Name`, Fluentd by `@type`.
        let output = log.options.get("Name").or_else(|| log.options.get("@type"));
        let plugin = output.filter(|_| log.log_driver == "awsfirelens")?;
        PLUGINS.contains(&plugin.as_str()).then(|| {
            let what = format!("the log of `{}` is sent to AWS by {plugin}", container.name);
            (format!("{pointer}/options"), what)
        })
    })
}

fn aws_agent(located: &LocatedDefinition, images: &ImageFacts) -> Usage {
    let (pointer, container) =
        containers(located).find(|(_, container)| is_agent(container, images))?;
    let what = format!("`{}` sends telemetry to AWS", container.name);
    Some((format!("{pointer}/image"), what))
}

/// Returns whether the container is an agent that only calls AWS, without static credentials.
fn is_agent(container: &ContainerDefinition, images: &ImageFacts) -> bool {
    let is_key = |name: &str| name == "AWS_ACCESS_KEY_ID";
    let keys = container
        .environment
        .iter()
        .any(|variable| is_key(&variable.name))
        || container
            .secrets
            .iter()
            .any(|variable| is_key(&variable.name));
    images.has(&container.image, ImageFact::NeedsTaskRole) && !keys
}

/// Outputs of Fluent Bit and Fluentd.
const PLUGINS: [&str; 8] = [
    "cloudwatch",
    "cloudwatch_logs",
    "firehose",
    "kinesis",
    "kinesis_firehose",
    "kinesis_streams",
    "s3",
    "timestream",
];
