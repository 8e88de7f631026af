//! The forms of the files that commands take: ECS documents in any form, manifests, and files of other tools.

use std::io::Read as _;
use std::path::Path;

use diagnostics::source::{Source, limits};
use ecs_rules::inputs::{
    DEFINITION_FORM, foreign_file, foreign_text, form_of, has_documents, parse_input,
};

use crate::error::CliError;
use crate::project::Project;

/// Reads a file, or the standard input for `-`.
pub(crate) fn read(path: &Path, project: &Project) -> Result<Source, CliError> {
    if path != Path::new(STDIN) {
        return project.source(path);
    }

    let failure = |source| CliError::File {
        act: "read",
        path: STDIN_NAME.into(),
        source,
    };
    let mut text = String::new();
    let mut input = std::io::stdin().lock().take(limits::BYTES + 1);
    let length = input.read_to_string(&mut text).map_err(failure)?;
    if length as u64 > limits::BYTES {
        let message = limits::too_long_message(length as u64);
        return Err(CliError::Usage(format!("the standard input: {message}")));
    }
    Ok(Source::new(STDIN_NAME, text))
}

/// The argument for the standard input.
pub(crate) const STDIN: &str = "-";
/// The name of the standard input in messages.
const STDIN_NAME: &str = "<stdin>";

/// Returns whether a file is an ECS document and not a manifest.
pub(crate) fn is_document(source: &Source) -> bool {
    match parse_input(source) {
        Ok(node) => has_documents(&node),
        // Manifests are YAML.
        Err(_) => is_json(&source.name),
    }
}

fn is_json(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "json")
}

/// Returns an error that names the kind of a file of another tool, and what to pass instead.
pub(crate) fn foreign(source: &Source) -> Option<CliError> {
    let file = match parse_input(source) {
        Ok(node) if has_documents(&node) => None,
        Ok(node) => foreign_file(&node).or_else(|| foreign_text(source)),
        Err(_) => foreign_text(source),
    }?;
    Some(CliError::Usage(format!(
        "`{}` is {}; {}",
        source.name, file.kind, file.hint
    )))
}

/// Refuses files that are not a task definition as registered or as ECS returns it: `verb` changes or converts the
/// text itself.
pub(crate) fn require_definition(source: &Source, verb: &str) -> Result<(), CliError> {
    if let Some(failure) = foreign(source) {
        return Err(failure);
    }
    // The reader reports a text that cannot be parsed.
    let Ok(node) = parse_input(source) else {
        return Ok(());
    };
    match form_of(&node) {
        None | Some(DEFINITION_FORM) => Ok(()),
        Some(form) => Err(CliError::Usage(format!(
            "`{}` is {form}; `{verb}` takes a task definition, as registered or as `aws ecs describe-task-definition` \
             returns it; `check` and `up` read this form",
            source.name
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::{foreign, is_document};
    use diagnostics::source::Source;

    #[test]
    fn several_documents_are_recognized_by_their_first_one() {
        let text =
            "---\napiVersion: v1\nkind: Service\n---\napiVersion: apps/v1\nkind: Deployment\n";
        let error = foreign(&Source::new("k.yaml", text)).expect("recognized");
        assert!(
            error.to_string().contains("a Kubernetes manifest"),
            "{error}"
        );
    }

    #[test]
    fn a_compose_file_is_a_document() {
        assert!(is_document(&Source::new(
            "c.yaml",
            "services: { a: { image: a } }"
        )));
        assert!(!is_document(&Source::new(
            "m.yaml",
            "{ name: web, app: web }"
        )));
    }
}
