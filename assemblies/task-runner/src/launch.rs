//! Translates a container definition into a command line of this host.

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
use crate::sandbox::ProcessContext;
use crate::{Program, RunPlan};

mod context;

pub(crate) use context::{image_user, unknown_users};

/// A program that is ready to be started under an init.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    init: PathBuf,
    context: ProcessContext,
    program: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    folder: PathBuf,
    /// Whether the program is a file of an image, also that of a command beside the first process.
    is_in_image: bool,
}

impl Launch {
    /// Creates the launch of a container's main process.
    ///
    /// The first word of `entryPoint` names a file of the image: the program replaces it, and the other words stay.
    /// With an image, `program` already contains the whole command.
    pub(crate) fn container(
        plan: &RunPlan,
        container: &ContainerDefinition,
        program: &Program,
    ) -> Self {
        let arguments = container.entry_point.iter().skip(1);
        let arguments = program
            .arguments
            .iter()
            .chain(
                arguments
                    .chain(&container.command)
                    .filter(|_| program.image.is_none()),
            )
            .cloned()
            .collect();
        Self {
            context: context::for_container(plan, container, program),
            ..Self::new(plan, container, program, program.binary.clone(), arguments)
        }
    }

    /// Creates the launch of a command in a container: `CMD`, `CMD-SHELL` or plain words, as in a health check.
    ///
    /// It has the container's environment and, if `first` names the container's first process, its namespaces.
    pub(crate) fn command(
        plan: &RunPlan,
        container: &ContainerDefinition,
        program: &Program,
        command: &[String],
        first: Option<u32>,
    ) -> Self {
        // Plain words are executed directly, like CMD.
        let (file, arguments) = match command {
            [kind, line @ ..] if kind == "CMD-SHELL" => {
                ("/bin/sh".into(), vec!["-c".to_owned(), line.join(" ")])
            }
            [kind, words @ ..] if kind == "CMD" => resolve(words, program),
            words => resolve(words, program),
        };

        Self {
            context: context::for_command(plan, container, program, first),
            ..Self::new(plan, container, program, file, arguments)
        }
    }

    fn new(
        plan: &RunPlan,
        container: &ContainerDefinition,
        replacement: &Program,
        program: PathBuf,
        arguments: Vec<String>,
    ) -> Self {
        Self {
            init: plan.init.clone(),
            context: ProcessContext::default(),
            program,
            arguments,
            environment: plan.environment_for(container),
            // The folder of an image does not exist yet: `__exec` enters it after the mounts are made.
            folder: match replacement.image {
                None => replacement.folder.clone(),
                Some(_) => "/".into(),
            },
            is_in_image: replacement.image.is_some() && plan.sandbox.is_some(),
        }
    }

    /// Starts the init; returns its process and the socket to it.
    pub(crate) fn start(&self) -> io::Result<(Child, UnixStream)> {
        self.check_executable()?;
        let (ours, theirs) = StdStream::pair()?;
        ours.set_nonblocking(true)?;

        let child = Command::new(&self.init)
            .arg(INIT)
            .arg(serde_json::to_string(&self.context)?)
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

    /// Checks that the program is executable, for a better error than that of the exec.
    fn check_executable(&self) -> io::Result<()> {
        if !self.program.is_absolute() || self.is_in_image {
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

    /// Returns true if the first process should be PID 1 of a new namespace.
    pub(crate) fn wants_own_pid_namespace(&self) -> bool {
        self.context.own_pid_namespace
    }

    /// Returns the program, for messages.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }
}

/// Resolves a command. A file with the program's name is the program; any other file is looked up on the host,
/// or in the image if there is one.
fn resolve(words: &[String], program: &Program) -> (PathBuf, Vec<String>) {
    let [first, rest @ ..] = words else {
        return (program.binary.clone(), Vec::new());
    };
    let is_program =
        program.image.is_none() && Path::new(first).file_name() == program.binary.file_name();
    let file = if is_program {
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
    fn a_file_with_the_name_of_the_program_is_the_program() {
        let program = Program {
            binary: "/here/tls-proxy".into(),
            arguments: vec![],
            folder: "/".into(),
            image: None,
        };

        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        // A health check names the path in the image, `/tls-proxy`.
        let (file, rest) = resolve(&words("/tls-proxy probe"), &program);
        assert_eq!(
            (file.to_str(), rest),
            (Some("/here/tls-proxy"), words("probe"))
        );
        let (file, _) = resolve(&words("curl -f http://localhost"), &program);
        assert_eq!(file.to_str(), Some("curl"));
    }
}
