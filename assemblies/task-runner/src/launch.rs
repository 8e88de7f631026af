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

pub(crate) use context::unknown_users;

/// A program that is ready to be started under an init.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    init: PathBuf,
    context: ProcessContext,
    program: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    folder: PathBuf,
}

impl Launch {
    /// Creates the launch of a container's main process.
    ///
    /// The first word of `entryPoint` names a file of the image: the program replaces it, and the other words stay.
    /// Of an image with several programs, it also replaces the word that selects one of them.
    /// With an image, `program` already contains the whole command.
    pub(crate) fn container(
        plan: &RunPlan,
        container: &ContainerDefinition,
        program: &Program,
    ) -> Self {
        let given = match program.image {
            None => arguments_of(container, program),
            Some(_) => Vec::new(),
        };
        let arguments = program.arguments.iter().cloned().chain(given).collect();
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
        if !self.program.is_absolute() || self.context.exec.is_in_image() {
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

/// Returns the arguments in the definition of the program that replaces an image.
fn arguments_of(container: &ContainerDefinition, program: &Program) -> Vec<String> {
    let called_as = program.called_as.as_slice();
    let entry_point = container.entry_point.as_slice();
    let words = [entry_point, &container.command].concat();
    if let Some(rest) = strip_words(&words, called_as) {
        return rest.to_vec();
    }

    // Without `entryPoint` the image's own runs, which is the first of the words.
    let selector = called_as.get(1..).unwrap_or_default();
    let rest = if entry_point.is_empty() {
        strip_words(&words, selector).unwrap_or(&words)
    } else {
        &words[1..]
    };
    rest.to_vec()
}

/// Returns what follows the words `prefix`, or `None` if there is no prefix or the words begin with others.
fn strip_words<'w>(words: &'w [String], prefix: &[String]) -> Option<&'w [String]> {
    words.strip_prefix(prefix).filter(|_| !prefix.is_empty())
}

/// Resolves a command. A file with the program's name is the program; any other file is looked up on the host,
/// or in the image if there is one.
fn resolve(words: &[String], program: &Program) -> (PathBuf, Vec<String>) {
    if let Some(rest) = strip_words(words, &program.called_as) {
        return (program.binary.clone(), rest.to_vec());
    }
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

    fn program(called_as: &str) -> Program {
        Program {
            binary: "/here/tls-proxy".into(),
            arguments: vec![],
            called_as: words(called_as),
            folder: "/".into(),
            image: None,
        }
    }

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn a_program_replaces_the_words_that_call_it() {
        let arguments = |called_as: &str, entry_point: &str, command: &str| {
            let container = ContainerDefinition {
                entry_point: words(entry_point),
                command: words(command),
                ..ContainerDefinition::default()
            };
            arguments_of(&container, &program(called_as)).join(" ")
        };

        assert_eq!(arguments("", "/tini --", "serve"), "-- serve");
        assert_eq!(arguments("", "", "serve"), "serve");
        let call = "/tools tls-proxy";
        assert_eq!(arguments(call, "/tools tls-proxy", "serve"), "serve");
        assert_eq!(arguments(call, "/tools", "tls-proxy serve"), "serve");
        // The image's entry point is `/tools`.
        assert_eq!(arguments(call, "", "tls-proxy serve"), "serve");
        // A link in the image has the name of the program.
        assert_eq!(arguments(call, "/tls-proxy", "serve"), "serve");
    }

    #[test]
    fn a_command_with_the_words_that_call_the_program_is_the_program() {
        let (file, rest) = resolve(
            &words("/tools tls-proxy probe"),
            &program("/tools tls-proxy"),
        );
        assert_eq!(file.to_str(), Some("/here/tls-proxy"));
        assert_eq!(rest, words("probe"));

        let (file, rest) = resolve(&words("/tools other probe"), &program("/tools tls-proxy"));
        assert_eq!(file.to_str(), Some("/tools"));
        assert_eq!(rest, words("other probe"));
    }

    #[test]
    fn a_file_with_the_name_of_the_program_is_the_program() {
        let program = program("");
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
