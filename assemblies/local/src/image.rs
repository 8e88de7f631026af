//! `up --image`: runs a container from its image's root file system, unpacked once with podman or docker.
//!
//! The engine only unpacks; it starts no container. The image's program runs in the task's namespaces, under
//! its limits and in its stop order, as PID 1 of its container.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use task_definition::{ContainerDefinition, TaskDefinition};
use task_runner::{Image, Program};

use crate::Error;
use crate::Messages;
use crate::Options;
use crate::Project;
use crate::dev_keys::private_folder;

/// An argument of `--image`: `CONTAINER[=ENGINE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageChoice {
    pub(super) container: String,
    engine: Option<&'static str>,
}

/// Parses `--image`.
pub fn parse_choice(text: &str) -> Result<ImageChoice, String> {
    let (container, engine) = text.split_once('=').unwrap_or((text, ""));
    let known = ENGINES.iter().copied().find(|name| *name == engine);
    if known.is_none() && !engine.is_empty() {
        return Err(format!(
            "unknown engine `{engine}`; expected one of {}",
            ENGINES.join(", ")
        ));
    }
    Ok(ImageChoice {
        container: container.to_owned(),
        engine: known,
    })
}

/// Returns the programs of the chosen containers. All errors are reported together.
pub(super) fn programs(
    definition: &TaskDefinition,
    options: &Options,
    sandboxed: bool,
    project: &Project,
    ui: &dyn Messages,
) -> Result<BTreeMap<String, Program>, Error> {
    let choice_for = |container: &ContainerDefinition| {
        let mut choices = options.image.iter().rev();
        choices.find(|choice| choice.container == container.name)
    };
    let (mut programs, mut errors) = (BTreeMap::new(), Vec::new());
    let mut images = BTreeMap::new();

    for container in &definition.container_definitions {
        let Some(choice) = choice_for(container) else {
            continue;
        };
        let image = if sandboxed {
            // Engines are slow, so each image is unpacked once per run.
            find_engine(choice).and_then(|engine| {
                let entry = images.entry((engine, &container.image));
                let result =
                    entry.or_insert_with(|| load_image(engine, &container.image, project, ui));
                result.clone()
            })
        } else {
            Err(
                "running an image needs mount namespaces, which this host does not allow"
                    .to_owned(),
            )
        };

        let name = &container.name;
        match image.map(|image| Program::from_image(image, container)) {
            Ok(program) if program.binary.as_os_str().is_empty() => errors.push(format!(
                "`{name}`: the image has no command; set `command` or `entryPoint` in the definition"
            )),
            Ok(program) => drop(programs.insert(name.clone(), program)),
            Err(why) => errors.push(format!("`{name}`: {why}")),
        }
    }

    if errors.is_empty() {
        return Ok(programs);
    }

    let errors = errors.join("\n  ");
    let message =
        format!("cannot run these images; use `--program CONTAINER=FILE` instead:\n  {errors}");
    Err(Error::Program {
        message,
        code: NOT_FOUND,
    })
}

/// Returns the chosen engine, or the first one on the PATH.
fn find_engine(choice: &ImageChoice) -> Result<&'static str, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_installed =
        |name: &&str| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    match choice.engine {
        Some(name) if is_installed(&name) => Ok(name),
        Some(name) => Err(format!("`{name}` is not on the PATH")),
        None => ENGINES
            .iter()
            .copied()
            .find(is_installed)
            .ok_or_else(|| format!("none of {} is on the PATH", ENGINES.join(", "))),
    }
}

/// Returns an image's root file system and configuration, unpacking it the first time.
fn load_image(
    engine: &'static str,
    name: &str,
    project: &Project,
    ui: &dyn Messages,
) -> Result<Image, String> {
    // `inspect` fails for an image that is not present; then it is pulled.
    let inspected = inspect(engine, name).or_else(|_| {
        ui.message(&format!("pulling {name} with {engine}"));
        run_with_progress(engine, &["pull", name])?;
        inspect(engine, name)
    })?;
    let folder = private_folder(project.root(), "images").map_err(|why| why.to_string())?;
    // By id, not by tag: a tag that has moved is another image.
    let root = folder.join(inspected.id.trim_start_matches("sha256:"));

    if !root.is_dir() {
        ui.message(&format!("unpacking {name} with {engine} (once)"));
        unpack(engine, name, &root)?;
    }

    let config = inspected.config;
    let variables = config
        .environment
        .iter()
        .flatten()
        .filter_map(|variable| variable.split_once('='));
    Ok(Image {
        root,
        entry_point: config.entry_point.unwrap_or_default(),
        command: config.command.unwrap_or_default(),
        environment: variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        folder: Path::new("/").join(config.folder),
        user: Some(config.user).filter(|user| !user.is_empty()),
        stop_signal: config.stop_signal,
    })
}

/// The part of `image inspect` that is used here; both engines print it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectOutput {
    id: String,
    config: Config,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    #[serde(rename = "Entrypoint")]
    entry_point: Option<Vec<String>>,
    #[serde(rename = "Cmd")]
    command: Option<Vec<String>>,
    #[serde(rename = "Env")]
    environment: Option<Vec<String>>,
    #[serde(rename = "WorkingDir", default)]
    folder: PathBuf,
    #[serde(default)]
    user: String,
    stop_signal: Option<String>,
}

fn inspect(engine: &str, name: &str) -> Result<InspectOutput, String> {
    let text = output(engine, &["image", "inspect", name])?;
    let all: Result<Vec<InspectOutput>, _> = serde_json::from_str(&text);
    let all =
        all.map_err(|why| format!("invalid output of `{engine} image inspect {name}`: {why}"))?;
    all.into_iter()
        .next()
        .ok_or_else(|| format!("`{engine} image inspect {name}` printed nothing"))
}

/// Creates a container that is never started, and exports its files.
fn unpack(engine: &str, name: &str, root: &Path) -> Result<(), String> {
    let beside = root.with_extension(format!("{}.new", std::process::id()));
    let failure = |why: std::io::Error| format!("cannot unpack into `{}`: {why}", beside.display());
    fs::create_dir_all(&beside).map_err(failure)?;

    // `create` fails for an image without a command unless one is given; it is never run.
    let container = output(engine, &["create", name, "/"])?;
    let container = container.lines().last().unwrap_or_default().trim();
    let result = export(engine, container, &beside);
    let _ = output(engine, &["rm", container]);

    if let Err(why) = result {
        let _ = fs::remove_dir_all(&beside);
        return Err(why);
    }

    // Another run may have unpacked it in the meantime; both results are equal.
    if fs::rename(&beside, root).is_err() && !root.is_dir() {
        return Err(format!("cannot create `{}`", root.display()));
    }
    let _ = fs::remove_dir_all(&beside);

    Ok(())
}

/// Runs `engine export | tar`. Devices are left out: the sandbox provides them. Without root, all files belong
/// to the caller.
fn export(engine: &str, container: &str, folder: &Path) -> Result<(), String> {
    let cannot = |program: &str, why: std::io::Error| format!("cannot run `{program}`: {why}");
    let mut from = Command::new(engine)
        .args(["export", container])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|why| cannot(engine, why))?;

    let mut tar = Command::new("tar");
    // The container gets device nodes of the host, so those of the image are left out.
    tar.args(["-x", "-p", "--numeric-owner", "--anchored"]);
    tar.args(["--exclude=dev/*", "--exclude=./dev/*", "-C"])
        .arg(folder);
    if let Some(files) = from.stdout.take() {
        tar.stdin(files);
    }

    // Wait for both before looking at either result, so that no process is left.
    let unpacked = tar.output().map_err(|why| cannot("tar", why));
    let exported = from.wait().map_err(|why| cannot(engine, why))?;
    let unpacked = unpacked?;
    if !unpacked.status.success() {
        let why = String::from_utf8_lossy(&unpacked.stderr);
        return Err(format!("tar: {}", why.trim()));
    }

    if exported.success() {
        Ok(())
    } else {
        Err(format!("`{engine} export` failed: {exported}"))
    }
}

/// Runs the engine and returns its output; on failure its stderr is the error.
fn output(engine: &str, arguments: &[&str]) -> Result<String, String> {
    let result = Command::new(engine)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|why| format!("cannot run `{engine}`: {why}"))?;
    if result.status.success() {
        return Ok(String::from_utf8_lossy(&result.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&result.stderr);
    Err(format!(
        "`{engine} {}`: {}",
        arguments.join(" "),
        why.trim()
    ))
}

/// Runs the engine with its stderr visible, for commands that take long.
fn run_with_progress(engine: &str, arguments: &[&str]) -> Result<(), String> {
    let status = Command::new(engine)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();

    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "`{engine} {}` failed: {status}",
            arguments.join(" ")
        )),
        Err(why) => Err(format!("cannot run `{engine}`: {why}")),
    }
}

const ENGINES: [&str; 2] = ["podman", "docker"];
const NOT_FOUND: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_an_engine() {
        let chosen = parse_choice("agent=docker").unwrap();
        assert_eq!(
            (chosen.container.as_str(), chosen.engine),
            ("agent", Some("docker"))
        );
        assert_eq!(parse_choice("agent").unwrap().engine, None);
        assert!(
            parse_choice("agent=runc")
                .unwrap_err()
                .contains("podman, docker")
        );
    }
}
