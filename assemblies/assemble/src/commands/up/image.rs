//! `up --image`: what is in an image of others, given out once by podman or docker, runs like everything else.
//!
//! The engine only unpacks: no container of its own starts. So what is in the image lives in the task's
//! namespaces, under its limits, with its stop order, as PID 1 of its own.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use task_definition::{ContainerDefinition, TaskDefinition};
use task_runner::{Image, Program};

use super::Arguments;
use crate::dev_keys::private_folder;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// `CONTAINER[=ENGINE]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(super) container: String,
    engine: Option<&'static str>,
}

/// Reads one.
pub(super) fn choice(text: &str) -> Result<Choice, String> {
    let (container, engine) = text.split_once('=').unwrap_or((text, ""));
    let known = ENGINES.iter().copied().find(|one| *one == engine);
    if known.is_none() && !engine.is_empty() {
        return Err(format!("`{engine}` is none of {}", ENGINES.join(", ")));
    }
    Ok(Choice {
        container: container.to_owned(),
        engine: known,
    })
}

/// What the chosen containers' images run. All that cannot be had is told together.
pub(super) fn programs(
    definition: &TaskDefinition,
    arguments: &Arguments,
    sandboxed: bool,
    project: &Project,
    talk: &Talk,
) -> Result<BTreeMap<String, Program>, Failure> {
    let chosen = |one: &ContainerDefinition| {
        let mut choices = arguments.image.iter().rev();
        choices.find(|choice| choice.container == one.name)
    };
    let (mut programs, mut failed) = (BTreeMap::new(), Vec::new());
    let mut images = BTreeMap::new();

    for container in &definition.container_definitions {
        let Some(choice) = chosen(container) else {
            continue;
        };
        let found = if sandboxed {
            // An engine takes its time: each image is asked for once.
            engine(choice).and_then(|engine| {
                let asked = images.entry((engine, &container.image));
                let asked = asked.or_insert_with(|| image(engine, &container.image, project, talk));
                asked.clone()
            })
        } else {
            Err("an image needs mounts of its own, and this machine gives out none".to_owned())
        };

        let name = &container.name;
        match found.map(|image| Program::of_image(image, container)) {
            Ok(program) if program.binary.as_os_str().is_empty() => failed.push(format!(
                "`{name}`: its image says no command; write `command` or `entryPoint` into the definition"
            )),
            Ok(program) => drop(programs.insert(name.clone(), program)),
            Err(why) => failed.push(format!("`{name}`: {why}")),
        }
    }

    if failed.is_empty() {
        return Ok(programs);
    }

    let failed = failed.join("\n  ");
    let words =
        format!("these images cannot be had; `--program CONTAINER=FILE` does without:\n  {failed}");
    Err(Failure::Program {
        words,
        code: NOT_FOUND,
    })
}

/// The one that is wanted, or the first that is there.
fn engine(choice: &Choice) -> Result<&'static str, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&str| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    match choice.engine {
        Some(name) if is_there(&name) => Ok(name),
        Some(name) => Err(format!("there is no `{name}` here")),
        None => ENGINES
            .iter()
            .copied()
            .find(is_there)
            .ok_or_else(|| format!("there is neither of {} here", ENGINES.join(", "))),
    }
}

/// Its files, unpacked once, and what it says of itself.
fn image(
    engine: &'static str,
    name: &str,
    project: &Project,
    talk: &Talk,
) -> Result<Image, String> {
    let said = inspect(engine, name).or_else(|_| {
        talk.say(&format!("{engine} fetches {name}"));
        shown(engine, &["pull", name])?;
        inspect(engine, name)
    })?;
    let folder = private_folder(project.root(), "images").map_err(|why| why.to_string())?;
    let root = folder.join(said.id.trim_start_matches("sha256:"));

    if !root.is_dir() {
        talk.say(&format!("{engine} unpacks {name}, once"));
        unpack(engine, name, &root)?;
    }

    let config = said.config;
    let variables = config.environment.iter().flatten();
    let variables = variables.filter_map(|one| one.split_once('='));
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

/// What both engines' `image inspect` says, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
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

fn inspect(engine: &str, name: &str) -> Result<Said, String> {
    let text = output(engine, &["image", "inspect", name])?;
    let all: Result<Vec<Said>, _> = serde_json::from_str(&text);
    let all =
        all.map_err(|why| format!("`{engine} image inspect {name}` cannot be read: {why}"))?;
    let said = all.into_iter().next();
    said.ok_or_else(|| format!("`{engine} image inspect {name}` says nothing"))
}

/// Lets the engine make a container that is never started, and takes its files.
fn unpack(engine: &str, name: &str, root: &Path) -> Result<(), String> {
    let beside = root.with_extension(format!("{}.new", std::process::id()));
    let failure = |why: std::io::Error| format!("cannot unpack into `{}`: {why}", beside.display());
    fs::create_dir_all(&beside).map_err(failure)?;

    // An image without a command of its own wants one, whatever it is.
    let container = output(engine, &["create", name, "/"])?;
    let container = container.lines().last().unwrap_or_default().trim();
    let done = export(engine, container, &beside);
    let _ = output(engine, &["rm", container]);

    if let Err(why) = done {
        let _ = fs::remove_dir_all(&beside);
        return Err(why);
    }

    // Another run may have been quicker.
    if fs::rename(&beside, root).is_err() && !root.is_dir() {
        return Err(format!("cannot make `{}`", root.display()));
    }
    let _ = fs::remove_dir_all(&beside);

    Ok(())
}

/// `engine export | tar`: devices are this machine's; for others than root all files become their own.
fn export(engine: &str, container: &str, folder: &Path) -> Result<(), String> {
    let cannot = |program: &str, why: std::io::Error| format!("cannot run `{program}`: {why}");
    let mut from = Command::new(engine)
        .args(["export", container])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|why| cannot(engine, why))?;

    let mut tar = Command::new("tar");
    tar.args(["-x", "-p", "--numeric-owner", "--anchored"]);
    tar.args(["--exclude=dev/*", "--exclude=./dev/*", "-C"])
        .arg(folder);
    if let Some(files) = from.stdout.take() {
        tar.stdin(files);
    }

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
        Err(format!("`{engine} export` ended with {exported}"))
    }
}

/// What it prints; what it complains of is the failure.
fn output(engine: &str, words: &[&str]) -> Result<String, String> {
    let done = Command::new(engine)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .map_err(|why| format!("cannot run `{engine}`: {why}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&done.stderr);
    Err(format!("`{engine} {}`: {}", words.join(" "), why.trim()))
}

/// The same for what takes long: its progress is seen.
fn shown(engine: &str, words: &[&str]) -> Result<(), String> {
    let done = Command::new(engine)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();

    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "`{engine} {}` ended with {status}",
            words.join(" ")
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
    fn an_engine_may_be_chosen() {
        let one = choice("agent=docker").unwrap();
        assert_eq!(
            (one.container.as_str(), one.engine),
            ("agent", Some("docker"))
        );
        assert_eq!(choice("agent").unwrap().engine, None);
        assert!(choice("agent=runc").unwrap_err().contains("podman, docker"));
    }
}
