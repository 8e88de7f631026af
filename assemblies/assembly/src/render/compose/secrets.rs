//! Secrets: ECS reads them from Secrets Manager and Parameter Store, Compose from its environment.

use std::fmt::Write as _;

use task_definition::{ContainerDefinition, Secret, TaskDefinition};

/// Returns the variable that Compose reads a secret from: the secret's name, prefixed with the container's if
/// another container has a different secret of that name.
pub(super) fn variable(
    task: &TaskDefinition,
    container: &ContainerDefinition,
    secret: &Secret,
) -> String {
    let others = task
        .container_definitions
        .iter()
        .flat_map(|other| &other.secrets);
    // Equal names with an equal `valueFrom` are the same secret, which users fill in once.
    let mut same = others.filter(|other| other.name == secret.name);

    if same.all(|other| other.value_from == secret.value_from) && is_variable(&secret.name) {
        return secret.name.clone();
    }
    let name = format!("{}_{}", container.name, secret.name).to_uppercase();

    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

/// Returns whether a name is valid for Compose. ECS accepts any name.
fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Returns the file that users copy to `.env` and fill in.
pub(super) fn example(task: &TaskDefinition) -> Option<String> {
    let mut page = format!(
        "# Secrets of {}, which ECS reads when a container starts; `docker compose` reads them from `.env`.\n\
         # Put multi-line values in single quotes. Keep `.env` out of git.\n",
        task.family
    );
    let mut known: Vec<String> = Vec::new();

    for container in &task.container_definitions {
        for secret in &container.secrets {
            let variable = variable(task, container, secret);
            if known.contains(&variable) {
                continue;
            }

            let (name, from) = (&container.name, &secret.value_from);
            let _ = write!(page, "\n# {name}: {from}\n{variable}=\n");
            known.push(variable);
        }
    }

    (!known.is_empty()).then_some(page)
}
