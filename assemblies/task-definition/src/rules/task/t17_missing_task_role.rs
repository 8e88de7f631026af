use crate::container::ContainerDefinition;
use crate::finding::Severity;
use crate::read::LocatedDefinition;
use crate::rules::images;
use crate::rules::shared::{containers, logs};
use crate::rules::{Check, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T17",
    name: "missing-task-role",
    severity: Severity::Warning,
    title: "container calls AWS without a task role",
    explanation: "Programs in a container get their rights from taskRoleArn; the execution role is \
                  used by ECS itself and is not seen inside. EFS with iam ENABLED, a log router that \
                  writes to CloudWatch, Kinesis, Firehose or S3, the X-Ray daemon and the CloudWatch \
                  agent all call AWS. Looked for on Fargate only: elsewhere the machine's own role \
                  may answer. Whether a task role that is there is needed, a definition does not \
                  say.",
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
    failing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [{ "name": "xray", "image": "aws-xray-daemon:3.3.12" }]
}"#,
    check: Check::Definition(check),
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let definition = &located.definition;
    if definition.task_role_arn.is_some() || !definition.is_fargate() {
        return;
    }
    let hint = "set \"taskRoleArn\" to the role that the programs of the task may use";
    if let Some((pointer, what)) = mounts(located)
        .or_else(|| ships(located))
        .or_else(|| calls(located))
    {
        report.add(pointer, format!("{what}, which needs a taskRoleArn"), hint);
    }
}

type Need = Option<(String, String)>;

fn mounts(located: &LocatedDefinition) -> Need {
    let volumes = located.definition.volumes.iter().enumerate();
    volumes.into_iter().find_map(|(index, volume)| {
        let access = volume.efs_volume_configuration.as_ref()?;
        let access = access.authorization_config.as_ref()?;
        (access.iam.as_deref() == Some("ENABLED")).then(|| {
            let pointer =
                format!("/volumes/{index}/efsVolumeConfiguration/authorizationConfig/iam");
            let what = format!("EFS is mounted for `{}` with the task's role", volume.name);
            (pointer, what)
        })
    })
}

fn ships(located: &LocatedDefinition) -> Need {
    logs(located).find_map(|(pointer, one, log)| {
        let plugin = log.options.get("Name").or_else(|| log.options.get("@type"));
        let plugin = plugin.filter(|_| log.log_driver == "awsfirelens")?;
        PLUGINS.contains(&plugin.as_str()).then(|| {
            let what = format!("the log of `{}` is sent to AWS by {plugin}", one.name);
            (format!("{pointer}/options"), what)
        })
    })
}

fn calls(located: &LocatedDefinition) -> Need {
    let (pointer, one) = containers(located).find(|(_, one)| is_agent(one))?;
    let what = format!("`{}` sends what it collects to AWS", one.name);
    Some((format!("{pointer}/image"), what))
}

/// Whether the container is an agent that only ever talks to AWS, and has no key of its own.
fn is_agent(one: &ContainerDefinition) -> bool {
    let name = images::name(&one.image);
    let has_key = |name: &str| name == "AWS_ACCESS_KEY_ID";
    let keys = one.environment.iter().any(|one| has_key(&one.name))
        || one.secrets.iter().any(|one| has_key(&one.name));
    AGENTS.contains(&name) && !keys
}

const AGENTS: [&str; 3] = ["aws-xray-daemon", "cloudwatch-agent", "xray-daemon"];

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
