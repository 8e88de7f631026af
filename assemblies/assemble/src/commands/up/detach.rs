//! `up --detach` and `up --wait`: runs the task in a background process.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::replicas::SERVICE;
use super::run_dir::{READY, TASK};
use super::{Arguments, control_socket, free_folder, run_name};
use crate::error::CliError;
use crate::project::Project;
use crate::ui::Ui;

/// Starts the process and prints the run's name. Returns 0, or the exit code if the task has ended already.
pub(super) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let name = arguments
        .name
        .clone()
        .unwrap_or_else(|| name_from_path(&arguments.what));
    let folder = free_folder(&name, project)?;

    // Left over from an earlier run with the same name; they must not be taken for this one's.
    for file in [READY, TASK, SERVICE] {
        let _ = fs::remove_file(folder.join(file));
    }

    let mut child = start(&name, &folder)?;
    let until = folder.join(match (arguments.wait, arguments.count) {
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

    ui.data(&format!("{name}\n"));
    Ok(0)
}

/// Starts this command again in the background. The variable [`NAME`] keeps it from detaching again.
fn start(name: &str, folder: &Path) -> Result<Child, CliError> {
    let log = File::create(folder.join(LOG)).map_err(|source| CliError::File {
        act: "write",
        path: folder.join(LOG),
        source,
    })?;
    let exe = env::current_exe().map_err(|failure| CliError::Usage(failure.to_string()))?;
    let mut command = Command::new(exe);

    command
        .args(env::args_os().skip(1))
        .env(NAME, name)
        // Its own process group: Ctrl-C in this terminal must not reach it.
        .process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let child = command.spawn();

    child.map_err(|failure| CliError::Usage(format!("cannot start: {failure}")))
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

/// The variable that gives the background process the name of its run.
pub(super) const NAME: &str = "ASSEMBLE_RUN";
const LOG: &str = "up.log";
const POLL_INTERVAL: Duration = Duration::from_millis(50);
