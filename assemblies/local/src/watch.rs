//! `up --watch`: restarts a container when its program changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use task_runner::{Control, RunPlan};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Polls the programs until it is dropped.
pub(super) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts to watch the programs of all containers. Must be called in a runtime.
pub(super) fn start(plan: &RunPlan, control: mpsc::Sender<Control>) -> Watch {
    // A program in an image cannot change: the image is unpacked by digest.
    let mut all: BTreeMap<String, File> = plan
        .programs
        .iter()
        .filter(|(_, program)| program.image.is_none())
        .map(|(name, program)| (name.clone(), File::new(&program.binary)))
        .collect();

    Watch(tokio::spawn(async move {
        loop {
            sleep(POLL_INTERVAL).await;
            for (name, file) in &mut all {
                if file.has_changed() {
                    let container = name.clone();
                    // Sending fails only if the task has ended.
                    let _ = control.send(Control::Replace { container }).await;
                }
            }
        }
    }))
}

/// Inode, size and time of change. A linker may write in place or create a new file.
type FileStamp = (u64, u64, SystemTime);

struct File {
    path: PathBuf,
    /// The version that is running.
    running: Option<FileStamp>,
    /// The version at the last poll.
    last: Option<FileStamp>,
}

impl File {
    fn new(path: &Path) -> Self {
        let stamp = stamp(path);
        Self {
            path: path.to_owned(),
            running: stamp,
            last: stamp,
        }
    }

    /// Returns whether the file is a new, complete program: unchanged since the last poll, and executable.
    fn has_changed(&mut self) -> bool {
        let now = stamp(&self.path);
        let is_stable = now.is_some() && now == std::mem::replace(&mut self.last, now);
        let changed = is_stable && now != self.running;
        if changed {
            self.running = now;
        }
        changed
    }
}

fn stamp(path: &Path) -> Option<FileStamp> {
    let file = fs::metadata(path).ok()?;
    let can_run = file.is_file() && file.permissions().mode() & 0o111 != 0 && file.len() > 0;
    Some((file.ino(), file.len(), file.modified().ok()?)).filter(|_| can_run)
}

const POLL_INTERVAL: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_a_changed_program_once_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app");
        let write = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };

        write("one", 0o755);
        let mut file = File::new(&path);
        assert!(!file.has_changed());
        write("number two", 0o644);
        assert!(
            !file.has_changed() && !file.has_changed(),
            "not executable yet"
        );
        write("number two", 0o755);

        assert!(!file.has_changed(), "may still be growing");
        assert!(file.has_changed());
        assert!(!file.has_changed());
        // A build removes the old file first; the program keeps running until there is a new one.
        fs::remove_file(&path).unwrap();
        assert!(!file.has_changed() && !file.has_changed());
    }
}
