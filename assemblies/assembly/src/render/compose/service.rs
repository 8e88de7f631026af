//! A container as a service.

use serde_json::{Map, Value, json};
use task_definition::fargate_sizes::parse_cpu;
use task_definition::{
    Condition, ContainerDefinition, HealthCheck, LinuxParameters, MountPoint, TaskDefinition,
};

use super::{literal, literals, secrets};

/// The variable by which a machine with fewer cores than the task says so.
pub(super) const CPUS: &str = "TASK_CPUS";

/// What compose is told about a container, in the order in which people write it.
pub(super) fn service(task: &TaskDefinition, one: &ContainerDefinition, holder: &str) -> Value {
    let mut service = Map::new();
    let mut say = |field: &str, value: Value| {
        let empty = match &value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !empty {
            service.insert(field.to_owned(), value);
        }
    };

    say("image", literal(&one.image).into());
    say("platform", platform(task).into());
    say("network_mode", format!("service:{holder}").into());

    let shared = task.pid_mode.as_deref() == Some("task");
    say("pid", shared.then(|| format!("service:{holder}")).into());
    say("entrypoint", literals(&one.entry_point).into());
    say("command", literals(&one.command).into());
    say(
        "working_dir",
        one.working_directory.as_deref().map(literal).into(),
    );
    say("environment", environment(task, one).into());

    say("env_file", files(one).into());
    say("depends_on", depends_on(one).into());
    say(
        "healthcheck",
        one.health_check.as_ref().map_or(Value::Null, health),
    );

    let stop = one.stop_timeout.unwrap_or(STOP_TIMEOUT);
    say("stop_grace_period", format!("{stop}s").into());
    say("restart", restart(one).into());
    say("user", one.user.as_deref().map(literal).into());
    say("read_only", one.readonly_root_filesystem.into());
    say("privileged", one.privileged.into());
    say("stdin_open", one.interactive.into());
    say("tty", one.pseudo_terminal.into());

    if let Some(linux) = &one.linux_parameters {
        say("init", linux.init_process_enabled.into());
        let rights = linux.capabilities.as_ref();
        say("cap_add", rights.map(|rights| rights.add.clone()).into());
        say("cap_drop", rights.map(|rights| rights.drop.clone()).into());
        say("tmpfs", tmpfs(linux).into());
    }

    say("volumes", one.mount_points.iter().map(mount).collect());
    say("volumes_from", volumes_from(one).into());
    say("ulimits", ulimits(one).into());
    say("sysctls", sysctls(one).into());
    say(
        "cpu_shares",
        one.cpu.map(|cpu| cpu.max(LEAST_SHARES)).into(),
    );
    say("cpus", cpus(task).into());

    say("mem_limit", one.memory.map(mebibytes).into());
    say(
        "mem_reservation",
        one.memory_reservation.map(mebibytes).into(),
    );
    say("labels", labels(one).into());

    service.into()
}

/// What ECS takes when a container does not say, in seconds.
const STOP_TIMEOUT: u32 = 30;

/// Fewer the kernel does not take, and ECS passes on no fewer.
const LEAST_SHARES: u32 = 2;

fn platform(task: &TaskDefinition) -> Option<&'static str> {
    match task
        .runtime_platform
        .as_ref()?
        .cpu_architecture
        .as_deref()?
    {
        "X86_64" => Some("linux/amd64"),
        "ARM64" => Some("linux/arm64"),
        _ => None,
    }
}

/// Plain values as they are, secrets from compose's own environment, and AWS's names from the caller's where
/// ECS would give the task a role.
fn environment(task: &TaskDefinition, one: &ContainerDefinition) -> Map<String, Value> {
    let plain = one.environment.iter();
    let plain = plain.map(|one| (one.name.clone(), literal(&one.value).into()));
    let secret = one.secrets.iter().map(|secret| {
        let variable = secrets::variable(task, one, secret);
        let text = format!("${{{variable}:?see .env.example}}");
        (secret.name.clone(), Value::String(text))
    });
    let role = task.task_role_arn.iter().flat_map(|_| CREDENTIALS);
    let mut environment: Map<String, Value> = plain.chain(secret).collect();

    for name in role {
        environment.entry(name).or_insert(Value::Null);
    }
    environment
}

/// A name without a value is handed through if the caller has it.
const CREDENTIALS: [&str; 4] = [
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// An object in S3 is a file of the same name here.
fn files(one: &ContainerDefinition) -> Vec<String> {
    let files = one.environment_files.iter();
    let names = files.filter_map(|file| file.value.rsplit('/').next());
    names.map(|name| format!("./{}", literal(name))).collect()
}

fn depends_on(one: &ContainerDefinition) -> Map<String, Value> {
    let edges = one.depends_on.iter().map(|edge| {
        let condition = match edge.condition {
            Condition::Start => json!({ "condition": "service_started" }),
            Condition::Healthy => json!({ "condition": "service_healthy" }),
            Condition::Success => json!({ "condition": "service_completed_successfully" }),
            // That it is not required means that its exit code does not matter.
            Condition::Complete => {
                json!({ "condition": "service_completed_successfully", "required": false })
            }
        };
        (edge.container_name.clone(), condition)
    });

    edges.collect()
}

/// Written out in full, since Docker's defaults are not those of ECS.
fn health(check: &HealthCheck) -> Value {
    let seconds = |given: Option<u32>, otherwise: u32| format!("{}s", given.unwrap_or(otherwise));
    let test = match check.command.split_first() {
        // A list of arguments without `CMD` is one to ECS.
        Some((first, _)) if !matches!(first.as_str(), "CMD" | "CMD-SHELL" | "NONE") => {
            let command = ["CMD".to_owned()]
                .into_iter()
                .chain(check.command.iter().cloned());
            command.collect()
        }
        _ => check.command.clone(),
    };

    json!({
        "test": literals(&test),
        "interval": seconds(check.interval, 30),
        "timeout": seconds(check.timeout, 5),
        "retries": check.retries.unwrap_or(3),
        "start_period": seconds(check.start_period, 0),
    })
}

fn restart(one: &ContainerDefinition) -> Option<&'static str> {
    let policy = one
        .restart_policy
        .as_ref()
        .filter(|policy| policy.enabled)?;
    Some(if policy.ignored_exit_codes.contains(&0) {
        "on-failure"
    } else {
        "unless-stopped"
    })
}

fn tmpfs(linux: &LinuxParameters) -> Vec<String> {
    let folders = linux.tmpfs.iter().map(|folder| {
        let mut options = vec![format!("size={}m", folder.size)];
        options.extend(folder.mount_options.iter().cloned());
        literal(&format!("{}:{}", folder.container_path, options.join(",")))
    });
    folders.collect()
}

fn mount(point: &MountPoint) -> Value {
    let mut mount = json!({
        "type": "volume",
        "source": literal(&point.source_volume),
        "target": literal(&point.container_path),
    });
    if point.read_only == Some(true) {
        mount["read_only"] = true.into();
    }
    mount
}

fn volumes_from(one: &ContainerDefinition) -> Vec<String> {
    let others = one.volumes_from.iter().map(|from| {
        let mode = if from.read_only == Some(true) {
            ":ro"
        } else {
            ""
        };
        format!("{}{mode}", from.source_container)
    });
    others.collect()
}

fn ulimits(one: &ContainerDefinition) -> Map<String, Value> {
    let limits = one.ulimits.iter().map(|limit| {
        let both = json!({ "soft": limit.soft_limit, "hard": limit.hard_limit });
        (limit.name.clone(), both)
    });
    limits.collect()
}

/// Those of the network belong to the one who holds it.
fn sysctls(one: &ContainerDefinition) -> Map<String, Value> {
    let own = one
        .system_controls
        .iter()
        .filter(|one| !one.namespace.starts_with("net."));
    own.map(|one| (one.namespace.clone(), literal(&one.value).into()))
        .collect()
}

/// No container can have more than the task has; below that the shares decide.
fn cpus(task: &TaskDefinition) -> Option<String> {
    let units = parse_cpu(task.cpu.as_deref()?)?;
    Some(format!("${{{CPUS}:-{}}}", f64::from(units) / 1024.0))
}

fn mebibytes(amount: u32) -> String {
    format!("{amount}m")
}

fn labels(one: &ContainerDefinition) -> Map<String, Value> {
    let labels = one.docker_labels.iter();
    labels
        .map(|(name, value)| (name.clone(), literal(value).into()))
        .collect()
}
