//! `up --detach` and `up --wait`: the task is left to a process of its own.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::keep::{READY, TASK};
use super::several::SERVICE;
use super::{Arguments, door, free_folder, run_name};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// Starts it, prints the name of the run, and answers 0; or the code with which it ended before.
pub(super) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let name = arguments
        .name
        .clone()
        .unwrap_or_else(|| name_of(&arguments.what));
    let folder = free_folder(&name, project)?;

    for old in [READY, TASK, SERVICE] {
        let _ = fs::remove_file(folder.join(old));
    }

    let mut child = start(&name, &folder)?;
    let until = folder.join(match (arguments.wait, arguments.count) {
        (true, _) => READY,
        (false, Some(_)) => SERVICE,
        (false, None) => TASK,
    });

    while !(until.exists() && door::is_alive(&folder)) {
        if let Ok(Some(status)) = child.try_wait() {
            talk.say(
                fs::read_to_string(folder.join(SAID))
                    .unwrap_or_default()
                    .trim_end(),
            );
            return Ok(status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1));
        }
        sleep(PAUSE);
    }

    talk.data(&format!("{name}\n"));
    Ok(0)
}

/// This command again, in nobody's foreground; its name in the environment says that it need not be left again.
fn start(name: &str, folder: &Path) -> Result<Child, Failure> {
    let said = File::create(folder.join(SAID)).map_err(|source| Failure::File {
        act: "write",
        path: folder.join(SAID),
        source,
    })?;
    let exe = env::current_exe().map_err(|failure| Failure::Usage(failure.to_string()))?;
    let mut command = Command::new(exe);

    command
        .args(env::args_os().skip(1))
        .env(NAME, name)
        .process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said);
    let child = command.spawn();

    child.map_err(|failure| Failure::Usage(format!("cannot start: {failure}")))
}

/// The last part of what is run, and something that no other run has.
fn name_of(what: &str) -> String {
    let stem = Path::new(what)
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy();
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    run_name(&stem.chars().map(fits).collect::<String>())
}

/// How the process that is left behind learns the name of its run.
pub(super) const NAME: &str = "ASSEMBLE_RUN";
const SAID: &str = "up.log";
const PAUSE: Duration = Duration::from_millis(50);
