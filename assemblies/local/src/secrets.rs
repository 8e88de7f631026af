//! Values of secrets: development keys, or the user's own from `.assemble/secrets.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use task_definition::TaskDefinition;
use task_runner::Secrets;

use crate::dev_keys::DevKeys;
use crate::{Error, Project};

/// Returns the values of all secrets: development keys, or those of `.assemble/secrets.toml`. All missing ones
/// are reported together, ready to be pasted into the file.
pub(super) fn read_all(definition: &TaskDefinition, project: &Project) -> Result<Secrets, Error> {
    let containers = &definition.container_definitions;
    let names: BTreeSet<&str> = containers
        .iter()
        .flat_map(|container| &container.secrets)
        .map(|secret| secret.value_from.as_str())
        .collect();
    let mentions_dev_keys =
        |variable: &task_definition::KeyValue| variable.value.contains(".assemble/dev/");
    // The keys are created only if something refers to them.
    let needs_dev_keys = names
        .iter()
        .any(|name| secret_name(name).starts_with(DEV_PREFIX))
        || containers
            .iter()
            .flat_map(|container| &container.environment)
            .any(mentions_dev_keys);

    let keys = needs_dev_keys
        .then(|| DevKeys::open(project.root()))
        .transpose()?;
    let values = read(&project.root().join(".assemble/secrets.toml"))?;
    let (mut secrets, mut missing) = (Secrets::default(), Vec::new());

    for name in names {
        // The user's own value wins, by ARN or by name.
        let own = values
            .get(name)
            .or_else(|| values.get(secret_name(name)))
            .cloned();
        match (own, secret_name(name), &keys) {
            (Some(value), ..) => secrets.insert(name, value),
            (None, "assemble-dev-tls", Some(keys)) => {
                let path = keys.certificate();
                let pem = fs::read_to_string(&path).map_err(|source| Error::File {
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
    Err(Error::Usage(format!(
        "these secrets have no local value; add them to `.assemble/secrets.toml` (mode 0600):\n{}",
        missing.join("\n")
    )))
}

/// Reads the file of secrets. Fails if other users can read it.
fn read(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    let failure = |source| Error::File {
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
        return Err(Error::Usage(format!(
            "`{path}` is readable by other users (mode {:04o}); run `chmod 600 {path}`",
            mode & 0o777
        )));
    }

    let text = fs::read_to_string(path).map_err(failure)?;
    // The parser's own message would print the line, and with it the secret.
    toml::from_str(&text).map_err(|error| {
        let before = error.span().map_or(0, |span| span.start);
        let line = text
            .get(..before)
            .unwrap_or_default()
            .lines()
            .count()
            .max(1);

        Error::Usage(format!(
            "`{}` line {line}: expected \"name\" = \"value\"",
            path.display()
        ))
    })
}

/// Returns the name of a secret: `assemble-dev-tls` for
/// `arn:aws:secretsmanager:…:secret:assemble-dev-tls-000000`. A parameter's name is unchanged.
fn secret_name(value_from: &str) -> &str {
    let Some((_, name)) = value_from.split_once(":secret:") else {
        return value_from;
    };
    let name = name.split(':').next().unwrap_or(name);
    // Secrets Manager appends a hyphen and six random characters to the name.
    match name.rsplit_once('-') {
        Some((name, random)) if random.len() == 6 => name,
        _ => name,
    }
}

const DEV_PREFIX: &str = "assemble-dev-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_secret_by_its_name() {
        let arn = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:assemble-dev-tls-000000";
        assert_eq!(secret_name(arn), "assemble-dev-tls");
        // `:key::` selects a JSON key, version stage and version id.
        assert_eq!(secret_name(&format!("{arn}:key::")), "assemble-dev-tls");
        assert_eq!(secret_name("/prod/token"), "/prod/token");
    }

    #[test]
    fn rejects_a_secrets_file_readable_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.toml");
        assert!(read(&path).unwrap().is_empty());
        fs::write(&path, "\"a\" = \"b\"\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&path).unwrap()["a"], "b");
        fs::write(&path, "good = \"x\"\nbad = hush\n").unwrap();

        let message = read(&path).unwrap_err().to_string();
        assert!(
            message.contains("line 2") && !message.contains("hush"),
            "{message}"
        );
    }
}
