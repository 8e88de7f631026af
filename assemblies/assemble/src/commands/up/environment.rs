//! What differs between AWS and this machine: secrets, addresses, variables of the day.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use task_definition::TaskDefinition;
use task_runner::{Groups, Secrets};

use super::{Arguments, network};
use crate::dev_keys::DevKeys;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// `[container:]NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Over {
    container: Option<String>,
    name: String,
    value: String,
}

/// Whether a task is held to its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Limits {
    /// As on Fargate, by control groups where this machine lets us make some.
    Task,
    /// It has this machine's processors; of memory, who holds too much is still killed.
    Off,
}

/// Reads one. A container's name has no `=` before its colon.
pub(super) fn over(text: &str) -> Result<Over, String> {
    let (left, value) = text.split_once('=').unwrap_or((text, ""));
    let (container, name) = match left.split_once(':') {
        Some((container, name)) => (Some(container.to_owned()), name),
        None => (None, left),
    };

    if name.is_empty() || !text.contains('=') {
        return Err("is not of the form [CONTAINER:]NAME=VALUE".to_owned());
    }
    Ok(Over {
        container,
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

/// The variables of `--env-file`; empty lines and lines that begin with `#` say nothing. All bad lines come
/// back together.
pub(super) fn of_files(files: &[PathBuf]) -> Result<Vec<Over>, Failure> {
    let (mut all, mut bad) = (Vec::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(file).map_err(|source| Failure::File {
            act: "read",
            path: file.clone(),
            source,
        })?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }

            match over(line) {
                Ok(one) => all.push(one),
                // The line may hold a secret, so it is not repeated.
                Err(why) => bad.push(format!("{}:{}: the line {why}", file.display(), index + 1)),
            }
        }
    }

    if bad.is_empty() {
        Ok(all)
    } else {
        Err(Failure::Usage(bad.join("\n  ")))
    }
}

/// The variables of `--env` and `--env-file`, by container.
pub(super) fn overrides(
    all: &[Over],
    definition: &TaskDefinition,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Failure> {
    let names: Vec<_> = definition
        .container_definitions
        .iter()
        .map(|one| &one.name)
        .collect();
    let mut chosen = BTreeMap::<String, BTreeMap<String, String>>::new();

    for one in all {
        if let Some(stranger) = one.container.as_ref().filter(|name| !names.contains(name)) {
            return Err(Failure::Usage(format!(
                "`{stranger}:{}`: there is no container `{stranger}`; choose one of: {}",
                one.name,
                names
                    .iter()
                    .map(|name| name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        }
        for name in names
            .iter()
            .filter(|name| one.container.as_ref().is_none_or(|c| c == **name))
        {
            let variables = chosen.entry((*name).clone()).or_default();
            variables.insert(one.name.clone(), one.value.clone());
        }
    }

    Ok(chosen)
}

/// Without a network of the task's own, 0.0.0.0 would be open to whoever shares the network.
pub(super) fn keep_to_loopback(definition: &mut TaskDefinition, talk: &Talk) {
    for container in &mut definition.container_definitions {
        for variable in &mut container.environment {
            let address = variable.value.parse::<SocketAddr>();
            let open = address.ok().filter(|address| address.ip().is_unspecified());
            let Some(open) = open else { continue };
            let kept = SocketAddr::from(([127, 0, 0, 1], open.port()));
            let (name, whose) = (&variable.name, &container.name);

            talk.say(&format!(
                "{whose}: {name} is {kept} here, not {open} (--bind-all leaves it)"
            ));
            variable.value = kept.to_string();
        }
    }
}

/// Says which ports are taken before anything is started.
pub(super) fn ports_are_free(definition: &TaskDefinition) -> Result<(), Failure> {
    let mut taken = Vec::new();
    for container in &definition.container_definitions {
        for variable in container
            .environment
            .iter()
            .filter(|one| one.name.contains("LISTEN") || one.name.ends_with("_ADMIN"))
        {
            let Ok(address) = variable.value.parse::<SocketAddr>() else {
                continue;
            };
            let busy = TcpListener::bind(address)
                .is_err_and(|failure| failure.kind() == io::ErrorKind::AddrInUse);

            if address.port() != 0 && busy {
                let by = network::by(address.port());
                taken.push(format!("`{}` wants {address}, in use{by}", container.name));
            }
        }
    }

    if taken.is_empty() {
        return Ok(());
    }

    let taken = taken.join("\n  ");
    Err(Failure::Usage(format!(
        "these ports cannot be had; stop whoever holds them:\n  {taken}"
    )))
}

/// The control groups that hold the task to its size. Where the machine gives none out, memory is looked at.
pub(super) fn groups(definition: &TaskDefinition, arguments: &Arguments) -> Option<Arc<Groups>> {
    if arguments.limits == Limits::Off {
        return None;
    }
    let groups = Groups::open(definition);
    groups.ok().map(Arc::new)
}

/// One line for what Fargate would hold the task to and this machine does not.
pub(super) fn not_enforced(
    definition: &TaskDefinition,
    sandboxed: bool,
    groups: Option<&Groups>,
    talk: &Talk,
) {
    let any = |test: fn(&task_definition::ContainerDefinition) -> bool| {
        definition.container_definitions.iter().any(test)
    };
    let words = [
        (!groups.is_some_and(Groups::hold_cpu), "cpu"),
        (
            !sandboxed && any(|one| one.readonly_root_filesystem == Some(true)),
            "readonlyRootFilesystem",
        ),
        (!sandboxed && any(|one| one.user.is_some()), "user"),
        (
            !sandboxed && any(|one| !one.mount_points.is_empty()),
            "volumes",
        ),
        (
            any(|one| !one.environment_files.is_empty()),
            "environmentFiles (give them with --env-file)",
        ),
        (any(|one| one.hostname.is_some()), "hostname"),
        (any(has_capabilities), "capabilities"),
        (any(has_udp), "ports of udp"),
        (
            any(|one| one.ulimits.iter().any(|limit| limit.name != "nofile")),
            "ulimits but nofile",
        ),
    ];

    let words: Vec<_> = words
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, word)| *word)
        .collect();

    if !words.is_empty() {
        talk.say(&format!("not enforced here: {}", words.join(", ")));
    }
}

fn has_capabilities(one: &task_definition::ContainerDefinition) -> bool {
    let linux = one.linux_parameters.as_ref();
    linux.is_some_and(|linux| linux.capabilities.is_some())
}

fn has_udp(one: &task_definition::ContainerDefinition) -> bool {
    let mut ports = one.port_mappings.iter();
    ports.any(|port| port.protocol.as_deref() == Some("udp"))
}

/// The values of all secrets: keys made here, or what `.assemble/secrets.toml` says. All that is
/// missing comes back together, ready to paste.
pub(super) fn secrets(definition: &TaskDefinition, project: &Project) -> Result<Secrets, Failure> {
    let containers = &definition.container_definitions;
    let wanted: BTreeSet<&str> = containers
        .iter()
        .flat_map(|one| &one.secrets)
        .map(|one| one.value_from.as_str())
        .collect();
    let mentions = |one: &task_definition::KeyValue| one.value.contains(".assemble/dev/");
    let made = wanted
        .iter()
        .any(|name| secret_name(name).starts_with(MADE_HERE))
        || containers
            .iter()
            .flat_map(|one| &one.environment)
            .any(mentions);

    let keys = made.then(|| DevKeys::of(project.root())).transpose()?;
    let written = read(&project.root().join(".assemble/secrets.toml"))?;
    let (mut secrets, mut missing) = (Secrets::default(), Vec::new());

    for name in wanted {
        let own = written
            .get(name)
            .or_else(|| written.get(secret_name(name)))
            .cloned();
        match (own, secret_name(name), &keys) {
            (Some(value), ..) => secrets.insert(name, value),
            (None, "assemble-dev-tls", Some(keys)) => {
                let path = keys.certificate();
                let pem = fs::read_to_string(&path).map_err(|source| Failure::File {
                    act: "read",
                    path,
                    source,
                })?;
                secrets.insert(name, pem);
            }
            _ => missing.push(format!("{name:?} = \"\"")),
        }
    }

    if missing.is_empty() {
        return Ok(secrets);
    }
    Err(Failure::Usage(format!(
        "these secrets have no value here; write them into `.assemble/secrets.toml` (mode 0600):\n{}",
        missing.join("\n")
    )))
}

/// The file of secrets, unless others could read it.
fn read(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let failure = |source| Failure::File {
        act: "read",
        path: path.to_owned(),
        source,
    };
    let mode = match fs::metadata(path) {
        Ok(file) => file.permissions().mode(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(failure(error)),
    };

    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(Failure::Usage(format!(
            "`{path}` can be read by others (mode {:04o}); run `chmod 600 {path}`",
            mode & 0o777
        )));
    }

    let text = fs::read_to_string(path).map_err(failure)?;
    // The parser's own message would quote the line, and with it the secret.
    toml::from_str(&text).map_err(|error| {
        let before = error.span().map_or(0, |span| span.start);
        let line = text
            .get(..before)
            .unwrap_or_default()
            .lines()
            .count()
            .max(1);

        Failure::Usage(format!(
            "`{}` line {line} is not of the form \"name\" = \"value\"",
            path.display()
        ))
    })
}

/// `arn:aws:secretsmanager:…:secret:assemble-dev-tls-000000` is `assemble-dev-tls`; a parameter's
/// name stays as it is.
fn secret_name(value_from: &str) -> &str {
    let Some((_, name)) = value_from.split_once(":secret:") else {
        return value_from;
    };
    let name = name.split(':').next().unwrap_or(name);
    match name.rsplit_once('-') {
        Some((name, random)) if random.len() == 6 => name,
        _ => name,
    }
}

const MADE_HERE: &str = "assemble-dev-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_may_be_for_one_container() {
        let all = over("A=b=c:d").unwrap();
        assert_eq!(
            (all.container, all.name.as_str(), all.value.as_str()),
            (None, "A", "b=c:d")
        );

        let one = over("app:A=").unwrap();
        assert_eq!(
            (one.container.as_deref(), one.name.as_str()),
            (Some("app"), "A")
        );
        assert!(over("A").is_err() && over("app:=x").is_err());
    }

    #[test]
    fn the_bad_lines_of_a_file_are_told_together_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.env");
        fs::write(&path, "# mine\n\nA=b\napp:C=d=e\nhush\n=x\n").unwrap();

        let words = of_files(std::slice::from_ref(&path))
            .unwrap_err()
            .to_string();
        assert!(words.contains(":5:") && words.contains(":6:"), "{words}");
        assert!(!words.contains("hush"), "{words}");
        fs::write(&path, "# mine\n\nA=b\napp:C=d=e\n").unwrap();
        let all = of_files(&[path]).unwrap();
        assert_eq!(all, [over("A=b").unwrap(), over("app:C=d=e").unwrap()]);
    }

    #[test]
    fn a_secret_is_known_by_its_name() {
        let arn = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:assemble-dev-tls-000000";
        assert_eq!(secret_name(arn), "assemble-dev-tls");
        assert_eq!(secret_name(&format!("{arn}:key::")), "assemble-dev-tls");
        assert_eq!(secret_name("/prod/token"), "/prod/token");
    }

    #[test]
    fn a_file_of_secrets_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.toml");
        assert!(read(&path).unwrap().is_empty());
        fs::write(&path, "\"a\" = \"b\"\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap()["a"], "b");
        fs::write(&path, "good = \"x\"\nbad = hush\n").unwrap();

        let words = read(&path).unwrap_err().to_string();
        assert!(
            words.contains("line 2") && !words.contains("hush"),
            "{words}"
        );
    }
}
