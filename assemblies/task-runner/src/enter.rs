//! A command of somebody's own in a container that runs: what ECS Exec and `docker exec` do.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::machine::ExitCode;

/// Runs a command where a container's first process lives: in its PID namespace, with its variables and
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
    let program = in_image(program, &fs::read_link(process.join("exe"))?);
    join(&process)?;
    let status = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(variables)
        .current_dir(folder)
        .status()?;
    let signal = status.signal().map(|signal| 128 + signal);
    Ok(status.code().or(signal).unwrap_or(255))
}

/// Lets what is started from now on be born in the namespaces of a process, where they are not ours already.
fn join(process: &Path) -> io::Result<()> {
    let of = |name: &str| -> io::Result<Option<fs::File>> {
        let theirs = process.join("ns").join(name);
        let ours = Path::new("/proc/self/ns").join(name);
        if fs::read_link(&theirs)? == fs::read_link(ours)? {
            return Ok(None);
        }
        fs::File::open(theirs).map(Some)
    };
    let (user, pid) = (of("user")?, of("pid")?);
    if let Some(user) = user {
        move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User))?;
    }
    if let Some(pid) = pid {
        move_into_link_name_space(pid.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
    }
    Ok(())
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
