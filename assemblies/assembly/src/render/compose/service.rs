//! Renders a container as a Compose service.

use serde_json::{Map, Value, json};
use task_definition::fargate_sizes::parse_cpu;
use task_definition::{
    Condition, ContainerDefinition, HealthCheck, LinuxParameters, MountPoint, TaskDefinition,
};

use super::{literal, literals, secrets};

/// The variable that limits the CPUs on a host with fewer cores than the task.
pub(super) const CPUS: &str = "TASK_CPUS";

/// Returns the service of a container, with its fields in the usual order.
pub(super) fn service(
    task: &TaskDefinition,
    container: &ContainerDefinition,
    network_service: &str,
) -> Value {
    let process = process_fields(task, container, network_service);
    let fields = process.into_iter().chain(resource_fields(task, container));
    let set = fields.filter(|(_, value)| !is_absent(value));
    let fields: Map<String, Value> = set
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
    fields.into()
}

/// Returns whether a field is left out, so that Compose's default applies.
fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// Returns what runs, where, and in which order.
fn process_fields(
    task: &TaskDefinition,
    container: &ContainerDefinition,
    network_service: &str,
) -> Vec<(&'static str, Value)> {
    // `pidMode: task` shares the process namespace between all containers.
    let is_shared = task.pid_mode.as_deref() == Some("task");
    let pid = is_shared.then(|| format!("service:{network_service}"));
    let working_directory = container.working_directory.as_deref().map(literal);
    let health = container.health_check.as_ref().map(health);
    // Docker's default is 10 seconds, so the value is always written.
    let stop = container.stop_timeout.unwrap_or(STOP_TIMEOUT);

    vec![
        ("image", literal(&container.image).into()),
        ("platform", platform(task).into()),
        ("network_mode", format!("service:{network_service}").into()),
        ("pid", pid.into()),
        ("entrypoint", literals(&container.entry_point).into()),
        ("command", literals(&container.command).into()),
        ("working_dir", working_directory.into()),
        ("environment", environment(task, container).into()),
        ("env_file", files(container).into()),
        ("depends_on", depends_on(container).into()),
        ("healthcheck", health.into()),
        ("stop_grace_period", format!("{stop}s").into()),
        ("restart", restart(container).into()),
        ("user", container.user.as_deref().map(literal).into()),
        ("read_only", container.readonly_root_filesystem.into()),
        ("privileged", container.privileged.into()),
        ("stdin_open", container.interactive.into()),
        ("tty", container.pseudo_terminal.into()),
    ]
}

/// Returns the kernel's settings, the volumes and the limits.
fn resource_fields(
    task: &TaskDefinition,
    container: &ContainerDefinition,
) -> Vec<(&'static str, Value)> {
    let linux = container.linux_parameters.as_ref();
    let capabilities = linux.and_then(|linux| linux.capabilities.as_ref());
    let added = capabilities.map(|capabilities| capabilities.add.clone());
    let dropped = capabilities.map(|capabilities| capabilities.drop.clone());
    let init = linux.and_then(|linux| linux.init_process_enabled);
    let mounts = container.mount_points.iter().map(mount);
    let cpu_shares = container.cpu.map(|cpu| cpu.max(MIN_CPU_SHARES));
    let reservation = container.memory_reservation.map(mebibytes);

    vec![
        ("init", init.into()),
        ("cap_add", added.into()),
        ("cap_drop", dropped.into()),
        ("tmpfs", linux.map(tmpfs).into()),
        ("volumes", mounts.collect()),
        ("volumes_from", volumes_from(container).into()),
        ("ulimits", ulimits(container).into()),
        ("sysctls", sysctls(container).into()),
        ("cpu_shares", cpu_shares.into()),
        ("cpus", cpus(task).into()),
        ("mem_limit", container.memory.map(mebibytes).into()),
        ("mem_reservation", reservation.into()),
        ("labels", labels(container).into()),
    ]
}

/// ECS's default `stopTimeout` in seconds.
const STOP_TIMEOUT: u32 = 30;

/// The kernel's minimum of CPU shares, to which ECS raises smaller values.
const MIN_CPU_SHARES: u32 = 2;

fn platform(task: &TaskDefinition) -> Option<&'static str> {
    match task
        .runtime_platform
        .as_ref()?
        .cpu_architecture
        .as_deref()?
    {
        "X86_64" => Some("linux/amd64"),
        "ARM64" => Some("linux/arm64"),
        // Compose then chooses the host's platform.
        _ => None,
    }
}

/// Returns the environment: plain values, secrets from Compose's environment, and AWS credentials of the
/// caller if the task has a role.
fn environment(task: &TaskDefinition, container: &ContainerDefinition) -> Map<String, Value> {
    let plain = container
        .environment
        .iter()
        .map(|variable| (variable.name.clone(), literal(&variable.value).into()));
    let secrets = container.secrets.iter().map(|secret| {
        let variable = secrets::variable(task, container, secret);
        // `:?` makes Compose fail with this message if the variable is missing.
        let text = format!("${{{variable}:?see .env.example}}");
        (secret.name.clone(), Value::String(text))
    });
    let credentials = task.task_role_arn.iter().flat_map(|_| CREDENTIALS);
    let mut environment: Map<String, Value> = plain.chain(secrets).collect();

    // The definition's own values win over the caller's.
    for name in credentials {
        environment.entry(name).or_insert(Value::Null);
    }
    environment
}

/// Variables without a value, which Compose passes through from the caller if they are set.
const CREDENTIALS: [&str; 4] = [
    "AWS_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

/// Returns the environment files: each S3 object is a local file of the same name.
fn files(container: &ContainerDefinition) -> Vec<String> {
    container
        .environment_files
        .iter()
        .filter_map(|file| file.value.rsplit('/').next())
        .map(|name| format!("./{}", literal(name)))
        .collect()
}

fn depends_on(container: &ContainerDefinition) -> Map<String, Value> {
    container
        .depends_on
        .iter()
        .map(|edge| {
            let condition = match edge.condition {
                Condition::Start => json!({ "condition": "service_started" }),
                Condition::Healthy => json!({ "condition": "service_healthy" }),
                Condition::Success => json!({ "condition": "service_completed_successfully" }),
                // With `required: false` Compose ignores the exit code.
                Condition::Complete => {
                    json!({ "condition": "service_completed_successfully", "required": false })
                }
            };
            (edge.container_name.clone(), condition)
        })
        .collect()
}

/// Returns the health check with all fields, since Docker's defaults differ from ECS's.
fn health(check: &HealthCheck) -> Value {
    let seconds = |value: Option<u32>, default: u32| format!("{}s", value.unwrap_or(default));
    let test = match check.command.split_first() {
        // ECS accepts a list of arguments without `CMD`; Docker does not.
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

fn restart(container: &ContainerDefinition) -> Option<&'static str> {
    let policy = container
        .restart_policy
        .as_ref()
        .filter(|policy| policy.enabled)?;
    // An ignored exit code is one that causes no restart; Docker can only except 0.
    Some(if policy.ignored_exit_codes.contains(&0) {
        "on-failure"
    } else {
        "unless-stopped"
    })
}

fn tmpfs(linux: &LinuxParameters) -> Vec<String> {
    linux
        .tmpfs
        .iter()
        .map(|tmpfs| {
            let mut options = vec![format!("size={}m", tmpfs.size)];
            options.extend(tmpfs.mount_options.iter().cloned());
            literal(&format!("{}:{}", tmpfs.container_path, options.join(",")))
        })
        .collect()
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

fn volumes_from(container: &ContainerDefinition) -> Vec<String> {
    container
        .volumes_from
        .iter()
        .map(|from| {
            let mode = if from.read_only == Some(true) {
                ":ro"
            } else {
                ""
            };
            format!("{}{mode}", from.source_container)
        })
        .collect()
}

fn ulimits(container: &ContainerDefinition) -> Map<String, Value> {
    container
        .ulimits
        .iter()
        .map(|limit| {
            let value = json!({ "soft": limit.soft_limit, "hard": limit.hard_limit });
            (limit.name.clone(), value)
        })
        .collect()
}

/// Returns the sysctls, except those of the network, which the network service has.
fn sysctls(container: &ContainerDefinition) -> Map<String, Value> {
    container
        .system_controls
        .iter()
        .filter(|control| !control.namespace.starts_with("net."))
        .map(|control| (control.namespace.clone(), literal(&control.value).into()))
        .collect()
}

/// Returns the CPU limit, which is the task's; within it the CPU shares decide.
fn cpus(task: &TaskDefinition) -> Option<String> {
    let units = parse_cpu(task.cpu.as_deref()?)?;
    Some(format!("${{{CPUS}:-{}}}", f64::from(units) / 1024.0))
}

fn mebibytes(amount: u32) -> String {
    format!("{amount}m")
}

fn labels(container: &ContainerDefinition) -> Map<String, Value> {
    container
        .docker_labels
        .iter()
        .map(|(name, value)| (name.clone(), literal(value).into()))
        .collect()
}
