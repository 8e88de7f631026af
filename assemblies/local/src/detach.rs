//! `up --detach` and `up --wait`: runs the task in a background process.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::control_socket;
use super::replicas::SERVICE;
use super::role::{Role, add_options};
use super::run_dir::{READY, TASK};
use super::run_folder::{free_folder, run_name};
use crate::{Error, Messages, Options, Project};

/// Starts this command again in the background and prints the run's name, once the run can be found or, with
/// [`Options::wait`], is healthy. Returns 0, or the exit code if the task has ended already.
pub fn run_detached(options: &Options, project: &Project, ui: &dyn Messages) -> Result<u8, Error> {
    let name = options
        .name
        .clone()
        .unwrap_or_else(|| name_from_path(&options.what));
    let folder = free_folder(&name, project)?;

    // Left over from an earlier run with the same name; they must not be taken for this one's.
    for file in [READY, TASK, SERVICE] {
        let _ = fs::remove_file(folder.join(file));
    }

    let mut child = start(&name, &folder)?;
    let until = folder.join(match (options.wait, options.count) {
        (true, _) => READY,
        (false, Some(_)) => SERVICE,
        (false, None) => TASK,
    });

    // A file alone does not show that the run is alive.
    while !(until.exists() && control_socket::is_alive(&folder)) {
        if let Ok(Some(status)) = child.try_wait() {
            ui.message(
                fs::read_to_string(folder.join(LOG))
                    .unwrap_or_default()
                    .trim_end(),
            );
            return Ok(status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1));
        }
        sleep(POLL_INTERVAL);
    }

    // A closed pipe is not an error: the reader has seen enough.
    let _ = ui.results().write_all(format!("{name}\n").as_bytes());
    Ok(0)
}

/// Starts this command again in the background. The added option keeps it from detaching again.
fn start(name: &str, folder: &Path) -> Result<Child, Error> {
    let log = File::create(folder.join(LOG)).map_err(|source| Error::File {
        act: "write",
        path: folder.join(LOG),
        source,
    })?;
    let exe = env::current_exe().map_err(|failure| Error::Usage(failure.to_string()))?;
    let option = format!("--{}={name}", Role::BACKGROUND);
    let mut command = Command::new(exe);

    command
        .args(add_options(env::args_os().skip(1).collect(), [option]))
        // Its own process group: Ctrl-C in this terminal must not reach it.
        .process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let child = command.spawn();

    child.map_err(|failure| Error::Usage(format!("cannot start: {failure}")))
}

/// Generates a name from the last path segment.
fn name_from_path(what: &str) -> String {
    let stem = Path::new(what)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    run_name(&stem.chars().map(fits).collect::<String>())
}

const LOG: &str = "up.log";
const POLL_INTERVAL: Duration = Duration::from_millis(50);
