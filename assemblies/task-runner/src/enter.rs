//! A command of somebody's own in a container that runs: what ECS Exec and `docker exec` do.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::init::{EXEC, itself};
use crate::machine::ExitCode;
use crate::sandbox::{Last, Others, join};
use crate::system::{parent_of, processes};

/// Runs a command where a container's first process lives: in its namespaces, with its variables and
/// in its folder, at this process's terminal. Answers with its exit code, 128 + n after signal n.
///
/// A first word that ends like the container's program is that program. Call it before there are threads:
/// the kernel lets only a process without them into somebody's user namespace.
///
/// # Errors
///
/// The container is somebody else's, or has ended; or the command cannot be run, which is
/// [`NotFound`](io::ErrorKind::NotFound) where there is none.
pub fn enter(pid: u32, command: &[String]) -> io::Result<ExitCode> {
    let [program, arguments @ ..] = command else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "no command is named",
        ));
    };

    let process = PathBuf::from(format!("/proc/{pid}"));
    let variables = fs::read(process.join("environ"))?;
    let variables = variables.split(|byte| *byte == 0).filter_map(|one| {
        let (name, value) = std::str::from_utf8(one).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let variables: Vec<(String, String)> = variables.collect();
    let folder = fs::read_link(process.join("cwd"))?;
    let program = in_image(program, &program_of(pid)?);

    let init = parent_of(&pid.to_string()).ok_or(io::ErrorKind::NotFound)?;
    let init = u32::try_from(init).map_err(io::Error::other)?;
    let (user, others) = users(pid, init)?;
    join(init, &["user"])?;
    join(pid, &["pid"])?;

    let last = Last {
        beside: Some(pid),
        user,
        others,
        folder,
        ..Last::default()
    };

    let status = Command::new(itself()?)
        .arg(EXEC)
        .arg(std::process::id().to_string())
        .arg(serde_json::to_string(&last)?)
        .arg(program)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .status()?;

    let signal = status.signal().map(|signal| 128 + signal);
    Ok(status.code().or(signal).unwrap_or(255))
}

/// The file that a container's program is: where an init stands before it, that of the init's first child.
fn program_of(pid: u32) -> io::Result<PathBuf> {
    let file = |pid: String| fs::read_link(format!("/proc/{pid}/exe"));
    let first = file(pid.to_string())?;
    if first != fs::read_link(itself()?)? {
        return Ok(first);
    }
    let parent = i32::try_from(pid).ok();
    let mut children = processes().filter(|child| parent_of(&child.to_string()) == parent);
    children
        .next()
        .map_or(Ok(first), |child| file(child.to_string()))
}

/// The user and the group that a container's process is, where that is not who its init is, and who else exists
/// there.
fn users(pid: u32, init: u32) -> io::Result<(Option<(u32, u32)>, Others)> {
    let space = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/user"));
    if space(pid)? == space(init)? {
        return Ok((None, Others::Nobody));
    }

    let of = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
    let word = |map: &str, index: usize| -> io::Result<u32> {
        let found = map.split_whitespace().nth(index).unwrap_or_default();
        found.parse().map_err(io::Error::other)
    };
    let (users, groups) = (of("uid_map")?, of("gid_map")?);

    if word(&users, 2)? == 1 {
        let own = (word(&users, 0)?, word(&groups, 0)?);
        return Ok((Some(own), Others::Nobody));
    }

    let (from, status) = (word(&users, 1)?, of("status")?);
    let number = |name: &str| -> io::Result<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        Ok(word(line.unwrap_or_default(), 0)?.saturating_sub(from))
    };
    let own = (number("Uid:")?, number("Gid:")?);

    Ok((Some(own), Others::Everybody { from }))
}

/// `/tls-proxy` of an image is the file that stands for it here.
fn in_image(word: &str, program: &Path) -> PathBuf {
    let is_same = Path::new(word).file_name() == program.file_name();
    if is_same {
        program.to_owned()
    } else {
        word.into()
    }
}
