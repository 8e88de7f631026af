//! From a container's definition to a command line of this machine.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use task_definition::ContainerDefinition;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use crate::init::INIT;
use crate::sandbox::Place;
use crate::{Program, RunPlan};

mod place;

pub(crate) use place::strangers;

/// A program ready to be started under an init of its own.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    init: PathBuf,
    place: Place,
    program: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    folder: PathBuf,
}

impl Launch {
    /// A container's own process. The first word of `entryPoint` names a file of the image: the
    /// program stands in its place, and the rest is kept. What an image runs is known already.
    pub(crate) fn main(plan: &RunPlan, container: &ContainerDefinition, program: &Program) -> Self {
        let words = container.entry_point.iter().skip(1);
        let words = words.chain(&container.command);
        let words = words.filter(|_| program.image.is_none());
        let arguments = program.arguments.iter().chain(words).cloned().collect();
        Self {
            place: place::of(plan, container, program),
            ..Self::new(plan, container, program, program.binary.clone(), arguments)
        }
    }

    /// A command beside it, in the same environment and, once its first process runs, the same
    /// namespaces: a health check's `CMD`, `CMD-SHELL` or bare words.
    pub(crate) fn beside(
        plan: &RunPlan,
        container: &ContainerDefinition,
        program: &Program,
        command: &[String],
        beside: Option<u32>,
    ) -> Self {
        let (file, arguments) = match command {
            [kind, line @ ..] if kind == "CMD-SHELL" => {
                ("/bin/sh".into(), vec!["-c".to_owned(), line.join(" ")])
            }
            [kind, words @ ..] if kind == "CMD" => in_image(words, program),
            words => in_image(words, program),
        };
        Self {
            place: place::beside(plan, container, program, beside),
            ..Self::new(plan, container, program, file, arguments)
        }
    }

    fn new(
        plan: &RunPlan,
        container: &ContainerDefinition,
        stand_in: &Program,
        program: PathBuf,
        arguments: Vec<String>,
    ) -> Self {
        Self {
            init: plan.init.clone(),
            place: Place::default(),
            program,
            arguments,
            environment: plan.environment_of(container),
            // A folder of an image is nowhere yet.
            folder: match stand_in.image {
                None => stand_in.folder.clone(),
                Some(_) => "/".into(),
            },
        }
    }

    /// Starts it; gives the init's process and the line to it.
    pub(crate) fn start(&self) -> io::Result<(Child, UnixStream)> {
        self.must_be_executable()?;
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;

        let child = Command::new(&self.init)
            .arg(INIT)
            .arg(serde_json::to_string(&self.place)?)
            .arg(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(&self.folder)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C at a terminal goes to the runner alone.
            .process_group(0)
            .spawn()?;

        Ok((child, UnixStream::from_std(ours)?))
    }

    /// Says it in the runner's words, before two processes have been started to find out.
    fn must_be_executable(&self) -> io::Result<()> {
        if !self.program.is_absolute() || self.place.last.is_in_image() {
            return Ok(());
        }

        let file = fs::metadata(&self.program)?;
        if file.is_file() && file.permissions().mode() & 0o111 != 0 {
            return Ok(());
        }

        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "is not an executable file",
        ))
    }

    /// Whether it is to be PID 1.
    pub(crate) fn is_alone(&self) -> bool {
        self.place.alone
    }

    /// For messages.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}

/// A file of the image that bears the program's name is the program; anything else is looked for
/// on this machine, or, where there is an image, in it.
fn in_image(words: &[String], program: &Program) -> (PathBuf, Vec<String>) {
    let [first, rest @ ..] = words else {
        return (program.binary.clone(), Vec::new());
    };
    let same =
        program.image.is_none() && Path::new(first).file_name() == program.binary.file_name();
    let file = if same {
        program.binary.clone()
    } else {
        first.into()
    };

    (file, rest.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_stands_for_the_file_of_its_name() {
        let program = Program {
            binary: "/here/tls-proxy".into(),
            arguments: vec![],
            folder: "/".into(),
            image: None,
        };

        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (file, rest) = in_image(&words("/tls-proxy probe"), &program);
        assert_eq!(
            (file.to_str(), rest),
            (Some("/here/tls-proxy"), words("probe"))
        );
        let (file, _) = in_image(&words("curl -f http://localhost"), &program);
        assert_eq!(file.to_str(), Some("curl"));
    }
}
