//! Runs a command in a running container, as ECS Exec and `docker exec` do.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::init::{EXEC, own_executable};
use crate::machine::ExitCode;
use crate::sandbox::{ExecContext, UserMap, join_namespaces};
use crate::system::{parent_of, processes};

/// Runs a command in a container's namespaces, with its variables, in its folder, and at this process's terminal.
///
/// Returns the exit code, 128 + n after signal n. A command with the file name of the container's program runs
/// that program. Call it in a single-threaded process: the kernel lets no other join a user namespace.
///
/// # Errors
///
/// Returns an error if the container belongs to another user or has ended, or if the command cannot be run;
/// [`NotFound`](io::ErrorKind::NotFound) if it does not exist.
pub fn enter(pid: u32, command: &[String]) -> io::Result<ExitCode> {
    let [program, arguments @ ..] = command else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no command given",
        ));
    };

    let process = PathBuf::from(format!("/proc/{pid}"));
    let variables: Vec<(String, String)> = fs::read(process.join("environ"))?
        .split(|byte| *byte == 0)
        .filter_map(|variable| {
            let (name, value) = std::str::from_utf8(variable).ok()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    let folder = fs::read_link(process.join("cwd"))?;
    let program = resolve(program, &program_of(pid)?);

    // Init lives in the user namespace of the task, outside the one of the container's user.
    let init = parent_of(&pid.to_string()).ok_or(io::ErrorKind::NotFound)?;
    let init = u32::try_from(init).map_err(io::Error::other)?;
    let (user, user_map) = user(pid, init)?;
    // The user namespace first: it grants the capability to join the PID namespace.
    join_namespaces(init, &["user"])?;
    join_namespaces(pid, &["pid"])?;

    let exec = ExecContext {
        joins_container: Some(pid),
        user,
        user_map,
        folder,
        ..ExecContext::default()
    };

    // Joining a PID namespace affects children only, so the command must be a child.
    let status = Command::new(own_executable()?)
        .arg(EXEC)
        .arg(std::process::id().to_string())
        .arg(serde_json::to_string(&exec)?)
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .status()?;

    let signal = status.signal().map(|signal| 128 + signal);
    Ok(status.code().or(signal).unwrap_or(255))
}

/// Returns the file of a container's program. If PID 1 is an init process, its first child is the program.
fn program_of(pid: u32) -> io::Result<PathBuf> {
    let file = |pid: String| fs::read_link(format!("/proc/{pid}/exe"));
    let first = file(pid.to_string())?;
    if first != fs::read_link(own_executable()?)? {
        return Ok(first);
    }
    let parent = i32::try_from(pid).ok();
    let mut children = processes().filter(|child| parent_of(&child.to_string()) == parent);
    children
        .next()
        .map_or(Ok(first), |child| file(child.to_string()))
}

/// Returns the user and group of a container's process, if it differs from its init, and the user map.
fn user(pid: u32, init: u32) -> io::Result<(Option<(u32, u32)>, UserMap)> {
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/user"));
    if namespace(pid)? == namespace(init)? {
        return Ok((None, UserMap::Single));
    }

    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
    let word = |map: &str, index: usize| -> io::Result<u32> {
        let found = map.split_whitespace().nth(index).unwrap_or_default();
        found.parse().map_err(io::Error::other)
    };
    let (users, groups) = (read("uid_map")?, read("gid_map")?);

    // Each line of a map has three fields: first id inside, first id outside, count.
    if word(&users, 2)? == 1 {
        let own = (word(&users, 0)?, word(&groups, 0)?);
        return Ok((Some(own), UserMap::Single));
    }

    // `status` shows ids of this namespace; subtracting the first id outside gives those inside.
    let (from, status) = (word(&users, 1)?, read("status")?);
    let number = |name: &str| -> io::Result<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        Ok(word(line.unwrap_or_default(), 0)?.saturating_sub(from))
    };
    let own = (number("Uid:")?, number("Gid:")?);

    Ok((Some(own), UserMap::All { from }))
}

/// Resolves a command: a file with the program's name is the program.
fn resolve(word: &str, program: &Path) -> PathBuf {
    if Path::new(word).file_name() == program.file_name() {
        program.to_owned()
    } else {
        word.into()
    }
}
