//! The field `build` of `component.yaml`: runs a program before cargo, such as one that builds a C library.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use assembly::component::{Component, ImageBuild, PreparedBuild};

use super::target::Target;
use crate::error::CliError;

/// What a component adds to its build and its image.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Variables for cargo.
    pub(super) environment: BTreeMap<String, String>,
    /// Licence texts by file name.
    pub(super) licenses: BTreeMap<String, Vec<u8>>,
}

/// Runs the `prepare` programs of the components of an image, one after another. Their messages go to stderr.
pub(super) fn prepare(
    components: &[Component],
    root: &Path,
    target: Target,
) -> Result<Prepared, CliError> {
    let mut prepared = Prepared::default();
    for component in components {
        let more = prepare_component(component, root, target)?;
        prepared.environment.extend(more.environment);
        prepared.licenses.extend(more.licenses);
    }
    Ok(prepared)
}

fn prepare_component(
    component: &Component,
    root: &Path,
    target: Target,
) -> Result<Prepared, CliError> {
    let Some(build) = &component.file().build else {
        return Ok(Prepared::default());
    };

    let file = root.join(component.file_name());
    let folder = file.parent().unwrap_or(root);
    let run = || -> Result<Prepared, String> {
        let output = output(folder, build, target).map_err(|error| error.to_string())?;
        let parsed = PreparedBuild::parse(&output).map_err(|error| error.to_string())?;

        // What the program found out about this machine counts more than what is always the same.
        let mut environment = build.environment.clone();
        environment.extend(parsed.environment);
        let licenses = match parsed.licenses {
            Some(licenses) => read_licenses(&folder.join(licenses))?,
            None => BTreeMap::new(),
        };
        Ok(Prepared {
            environment,
            licenses,
        })
    };
    run().map_err(|reason| {
        CliError::Usage(format!(
            "cannot prepare the build of `{}` for {} with `{}` (`build.prepare` of its component.yaml): {reason}",
            component.name(),
            target.platform(),
            build.prepare
        ))
    })
}

/// Runs the program in the folder of the component and returns its stdout.
fn output(folder: &Path, build: &ImageBuild, target: Target) -> io::Result<String> {
    // Absolute: it is unspecified which folder a relative path starts in if the child has another one.
    let mut command = Command::new(folder.join(&build.prepare).canonicalize()?);
    command
        .arg(target.triple())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn()?;

    let mut output = Vec::new();
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output),
        None => Ok(0),
    };
    let is_too_long = output.len() as u64 > MAX_OUTPUT;
    if read.is_err() || is_too_long {
        // It may ignore that nothing reads its output any more.
        let _ = child.kill();
    }

    let status = child.wait()?;
    read?;
    if is_too_long {
        return Err(io::Error::other(format!(
            "its output exceeds {MAX_OUTPUT} bytes; print messages on stderr"
        )));
    }
    if !status.success() {
        return Err(io::Error::other(format!(
            "{status}; its messages are above"
        )));
    }
    String::from_utf8(output).map_err(|_| io::Error::other("its output is not UTF-8"))
}

/// Reads the licence texts of a folder, by file name.
fn read_licenses(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let cannot = |path: &Path, error: &dyn std::fmt::Display| {
        format!(
            "cannot read the licence texts in `{}`: {error}",
            path.display()
        )
    };
    let entries = fs::read_dir(folder).map_err(|error| cannot(folder, &error))?;
    let mut texts = BTreeMap::new();

    for entry in entries {
        let path = entry.map_err(|error| cannot(folder, &error))?.path();
        let metadata = fs::metadata(&path).map_err(|error| cannot(&path, &error))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|_| metadata.is_file() && metadata.len() <= MAX_TEXT) else {
            let reason = format!("not a file of at most {MAX_TEXT} bytes with a name in UTF-8");
            return Err(cannot(&path, &reason));
        };
        let text = fs::read(&path).map_err(|error| cannot(&path, &error))?;

        texts.insert(name.to_owned(), text);
        if texts.len() > MAX_TEXTS {
            return Err(cannot(folder, &format!("more than {MAX_TEXTS} files")));
        }
    }

    // An image without the texts that its licences ask for must not be published.
    if texts.is_empty() {
        return Err(cannot(folder, &"the folder is empty"));
    }
    Ok(texts)
}

/// More than the lines that `PreparedBuild` accepts.
const MAX_OUTPUT: u64 = 512 * 1024;
/// No licence is longer.
const MAX_TEXT: u64 = 256 * 1024;
const MAX_TEXTS: usize = 100;
