//! What differs between AWS and the host: addresses, ports, variables of `--env`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use task_definition::TaskDefinition;

use super::network;
use crate::Error;
use crate::{Messages, Options};

/// A variable to set: `[container:]NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvOverride {
    container: Option<String>,
    name: String,
    value: String,
}

/// Parses a variable. A `:` after the first `=` belongs to the value.
pub fn parse_override(text: &str) -> Result<EnvOverride, String> {
    let (left, value) = text.split_once('=').unwrap_or((text, ""));
    let (container, name) = match left.split_once(':') {
        Some((container, name)) => (Some(container.to_owned()), name),
        None => (None, left),
    };

    if name.is_empty() || !text.contains('=') {
        return Err("expected [CONTAINER:]NAME=VALUE".to_owned());
    }
    Ok(EnvOverride {
        container,
        name: name.to_owned(),
        value: value.to_owned(),
    })
}

/// Reads the variables of `--env-file`. Empty lines and lines that start with `#` are ignored. All invalid lines
/// are reported together.
fn read_files(files: &[PathBuf]) -> Result<Vec<EnvOverride>, Error> {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        let text = fs::read_to_string(file).map_err(|source| Error::File {
            act: "read",
            path: file.clone(),
            source,
        })?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }

            match parse_override(line) {
                Ok(variable) => all.push(variable),
                // The line may hold a secret, so it is not printed.
                Err(why) => problems.push(format!("{}:{}: {why}", file.display(), index + 1)),
            }
        }
    }

    if problems.is_empty() {
        Ok(all)
    } else {
        Err(Error::Usage(problems.join("\n  ")))
    }
}

/// Reads the variables of `--env` and `--env-file`, by container.
pub(super) fn read_overrides(
    options: &Options,
    definition: &TaskDefinition,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
    let mut variables = read_files(&options.env_file)?;
    variables.extend_from_slice(&options.env);
    overrides(&variables, definition)
}

fn overrides(
    all: &[EnvOverride],
    definition: &TaskDefinition,
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
    let names: Vec<_> = definition
        .container_definitions
        .iter()
        .map(|container| &container.name)
        .collect();
    let mut chosen = BTreeMap::<String, BTreeMap<String, String>>::new();

    for variable in all {
        if let Some(unknown) = variable
            .container
            .as_ref()
            .filter(|name| !names.contains(name))
        {
            return Err(Error::Usage(format!(
                "`{unknown}:{}`: there is no container `{unknown}`; choose one of: {}",
                variable.name,
                names
                    .iter()
                    .map(|name| name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        }
        // A later variable overrides an earlier one; files come before the command line.
        for name in names
            .iter()
            .filter(|name| variable.container.as_ref().is_none_or(|c| c == **name))
        {
            let variables = chosen.entry((*name).clone()).or_default();
            variables.insert(variable.name.clone(), variable.value.clone());
        }
    }

    Ok(chosen)
}

/// Replaces 0.0.0.0 by 127.0.0.1. Without its own network a task would be reachable from outside the host.
pub(super) fn keep_to_loopback(definition: &mut TaskDefinition, ui: &dyn Messages) {
    for container in &mut definition.container_definitions {
        for variable in &mut container.environment {
            // Only a listener has an unspecified address; other values do not parse or are specific.
            let address = variable.value.parse::<SocketAddr>();
            let open = address.ok().filter(|address| address.ip().is_unspecified());
            let Some(open) = open else { continue };
            let local = SocketAddr::from(([127, 0, 0, 1], open.port()));
            let (name, container_name) = (&variable.name, &container.name);

            ui.message(&format!(
                "{container_name}: {name} is {local} instead of {open} (--bind-all keeps it)"
            ));
            variable.value = local.to_string();
        }
    }
}

/// Reports ports that are already in use before anything is started.
pub(super) fn ports_are_free(definition: &TaskDefinition) -> Result<(), Error> {
    let mut taken = Vec::new();
    for container in &definition.container_definitions {
        for variable in container.environment.iter().filter(|variable| {
            variable.name.contains("LISTEN") || variable.name.ends_with("_ADMIN")
        }) {
            let Ok(address) = variable.value.parse::<SocketAddr>() else {
                continue;
            };
            // Other errors, a missing address for example, are the container's own to report.
            let busy = TcpListener::bind(address)
                .is_err_and(|failure| failure.kind() == io::ErrorKind::AddrInUse);

            if address.port() != 0 && busy {
                let holder = network::port_holder(address.port());
                taken.push(format!(
                    "`{}` needs {address}, in use{holder}",
                    container.name
                ));
            }
        }
    }

    if taken.is_empty() {
        return Ok(());
    }

    let taken = taken.join("\n  ");
    Err(Error::Usage(format!(
        "these ports are in use; stop the processes that hold them:\n  {taken}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_variables_with_and_without_container() {
        let all = parse_override("A=b=c:d").unwrap();
        assert_eq!(
            (all.container, all.name.as_str(), all.value.as_str()),
            (None, "A", "b=c:d")
        );

        let variable = parse_override("app:A=").unwrap();
        assert_eq!(
            (variable.container.as_deref(), variable.name.as_str()),
            (Some("app"), "A")
        );
        assert!(parse_override("A").is_err() && parse_override("app:=x").is_err());
    }

    #[test]
    fn reports_all_invalid_lines_without_printing_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dev.env");
        fs::write(&path, "# mine\n\nA=b\napp:C=d=e\nhush\n=x\n").unwrap();

        let message = read_files(std::slice::from_ref(&path))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains(":5:") && message.contains(":6:"),
            "{message}"
        );
        // `hush` may be a secret.
        assert!(!message.contains("hush"), "{message}");
        fs::write(&path, "# mine\n\nA=b\napp:C=d=e\n").unwrap();
        let all = read_files(&[path]).unwrap();
        assert_eq!(
            all,
            [
                parse_override("A=b").unwrap(),
                parse_override("app:C=d=e").unwrap()
            ]
        );
    }
}
