//! The arguments of `run`, and the request of them.

use std::time::Duration;

use clap::{Args, ValueEnum};
use ecs_client::{Capacity, FollowLogs, Override, PublicAddress, RunRequest, Wait, WaitUntil};

use super::remote::{AwsArguments, DryRun};
use crate::arguments::{ValueArguments, parse_duration};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Assembly by name or path, family (its latest revision), `family:revision`, or ARN.
    #[arg(value_name = "NAME|REVISION")]
    pub(super) what: String,
    /// Cluster, by name or ARN.
    #[arg(long, default_value = "default")]
    cluster: String,
    /// Subnet to place the task in; repeatable.
    #[arg(long = "subnet", value_name = "ID", required = true)]
    subnets: Vec<String>,
    /// Security group; repeatable [default: the VPC's default security group].
    #[arg(long = "security-group", value_name = "ID")]
    security_groups: Vec<String>,
    /// Assign a public IP address, which a subnet without NAT needs to pull images.
    #[arg(long)]
    public_address: bool,
    /// Run on Fargate Spot.
    #[arg(long)]
    spot: bool,
    /// Start N tasks.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=10))]
    count: u8,
    /// Set an environment variable of a container.
    #[arg(long = "env", value_name = "CONTAINER:NAME=VALUE", value_parser = variable)]
    environment: Vec<(String, String, String)>,
    /// Replace a container's command: words, or a JSON list.
    #[arg(long, value_name = "CONTAINER=COMMAND", value_parser = command)]
    command: Vec<(String, Vec<String>)>,
    /// CPU of the task instead of the definition's.
    #[arg(long, value_name = "UNITS")]
    cpu: Option<String>,
    /// Memory of the task instead of the definition's.
    #[arg(long, value_name = "MIB")]
    memory: Option<String>,
    /// Start the task only once for this key: the same call within 24 hours finds the same task.
    #[arg(long, value_name = "KEY", value_parser = once_key, conflicts_with = "count")]
    once: Option<String>,
    /// Print the output of the containers (log driver awslogs).
    #[arg(long)]
    logs: bool,
    /// State of the task to wait for.
    #[arg(long, value_name = "STATE", value_enum, default_value_t = Until::Stopped)]
    wait_until: Until,
    /// How long to try to start the task and to wait for it: `90s`, `30m`, `1h`.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = parse_duration)]
    timeout: Duration,
    #[command(flatten)]
    pub(super) values: ValueArguments,
    #[command(flatten)]
    pub(super) dry: DryRun,
    #[command(flatten)]
    pub(super) aws: AwsArguments,
}

/// The values of `--wait-until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    /// All containers were started.
    Running,
    /// Every essential container with a health check is healthy.
    Healthy,
    /// The task ended.
    Stopped,
}

impl Arguments {
    /// Returns the request. The task definition of an assembly is not yet known.
    pub(super) fn request(&self) -> RunRequest {
        let mut overrides = Vec::new();
        for (container, name, value) in &self.environment {
            let entry = override_of(&mut overrides, container);
            entry.environment.insert(name.clone(), value.clone());
        }

        for (container, words) in &self.command {
            override_of(&mut overrides, container).command = Some(words.clone());
        }

        RunRequest {
            cluster: self.cluster.clone(),
            task_definition: self.what.clone(),
            subnets: self.subnets.clone(),
            security_groups: self.security_groups.clone(),
            public_address: if self.public_address {
                PublicAddress::Yes
            } else {
                PublicAddress::No
            },
            capacity: if self.spot {
                Capacity::Spot
            } else {
                Capacity::OnDemand
            },
            count: usize::from(self.count),
            cpu: self.cpu.clone(),
            memory: self.memory.clone(),
            overrides,
            started_by: Some("assemble".to_owned()),
            client_token: self.once.clone(),
            wait: self.wait(),
        }
    }

    fn wait(&self) -> Wait {
        Wait {
            // Later times cannot be represented.
            timeout: self.timeout.min(MAX_TIMEOUT),
            until: match self.wait_until {
                Until::Running => WaitUntil::Running,
                Until::Healthy => WaitUntil::Healthy,
                Until::Stopped => WaitUntil::Stopped,
            },
            logs: if self.logs {
                FollowLogs::Yes
            } else {
                FollowLogs::No
            },
            ..Wait::default()
        }
    }
}

/// Returns the override of a container. RunTask takes one per container.
fn override_of<'o>(overrides: &'o mut Vec<Override>, container: &str) -> &'o mut Override {
    let found = overrides
        .iter()
        .position(|entry| entry.container == container);
    let at = found.unwrap_or_else(|| {
        overrides.push(Override {
            container: container.to_owned(),
            ..Override::default()
        });
        overrides.len() - 1
    });
    &mut overrides[at]
}

fn variable(text: &str) -> Result<(String, String, String), String> {
    let parts = text.split_once(':').and_then(|(container, pair)| {
        let (name, value) = pair.split_once('=')?;
        let parts = (container.to_owned(), name.to_owned(), value.to_owned());
        (!container.is_empty() && !name.is_empty()).then_some(parts)
    });
    parts.ok_or_else(|| "expected CONTAINER:NAME=VALUE".to_owned())
}

/// Parses `container=words`, or `container=["a","list"]` for words with spaces.
fn command(text: &str) -> Result<(String, Vec<String>), String> {
    let (container, words) = text
        .split_once('=')
        .filter(|(container, _)| !container.is_empty())
        .ok_or("expected CONTAINER=COMMAND")?;
    let words = words.trim();
    let list = if words.starts_with('[') {
        serde_json::from_str::<Vec<String>>(words)
            .map_err(|error| format!("the list is not a JSON list of strings: {error}"))?
    } else if words.contains(['"', '\'', '\\']) {
        return Err(
            r#"quotes are not interpreted; write a JSON list: app=["sh","-c","a b"]"#.to_owned(),
        );
    } else {
        words.split_whitespace().map(str::to_owned).collect()
    };

    if list.is_empty() {
        return Err("expected at least one word after `=`".to_owned());
    }
    Ok((container.to_owned(), list))
}

fn once_key(text: &str) -> Result<String, String> {
    let is_valid =
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| (33..=126).contains(&byte));
    is_valid
        .then(|| text.to_owned())
        .ok_or_else(|| "expected 1 to 64 ASCII characters without spaces".to_owned())
}

const MAX_TIMEOUT: Duration = Duration::from_hours(24 * 365);

#[cfg(test)]
mod tests {
    use super::{command, once_key, variable};

    #[test]
    fn parses_commands_as_words_or_lists() {
        let words = |list: &[&str]| {
            list.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };

        assert_eq!(
            command("app=run --fast"),
            Ok(("app".to_owned(), words(&["run", "--fast"])))
        );
        let list = command(r#"app=["sh","-c","a=b; c"]"#);

        assert_eq!(list, Ok(("app".to_owned(), words(&["sh", "-c", "a=b; c"]))));
        for wrong in [
            "app",
            "=run",
            "app=",
            "app=[]",
            "app=[1]",
            "app=sh -c 'a b'",
        ] {
            assert!(command(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parses_variables_and_keys() {
        let parts = ("app".to_owned(), "A".to_owned(), "b:c=d".to_owned());
        assert_eq!(variable("app:A=b:c=d"), Ok(parts));
        assert!(
            variable("app:A").is_err() && variable(":A=b").is_err() && variable("app:=b").is_err()
        );
        assert!(once_key("nightly-2026").is_ok());
        assert!(
            once_key("").is_err() && once_key("a b").is_err() && once_key(&"x".repeat(65)).is_err()
        );
    }
}
