//! `up --watch`: a container whose program has changed is started again.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use task_runner::{Control, RunPlan};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Looks until it is dropped.
pub(super) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks at the programs of all containers. Called in a runtime.
pub(super) fn begin(plan: &RunPlan, control: mpsc::Sender<Control>) -> Watch {
    let programs = plan.programs.iter();
    let programs = programs.filter(|(_, program)| program.image.is_none());
    let mut all: BTreeMap<String, File> = programs
        .map(|(name, program)| (name.clone(), File::new(&program.binary)))
        .collect();

    Watch(tokio::spawn(async move {
        loop {
            sleep(LOOK).await;
            for (name, file) in &mut all {
                if file.has_changed() {
                    let container = name.clone();
                    // Where nobody listens any more, the task has ended.
                    let _ = control.send(Control::Replace { container }).await;
                }
            }
        }
    }))
}

/// What tells one state of a file from another: a linker may write in place, or put a new file there.
type Mark = (u64, u64, SystemTime);

struct File {
    path: PathBuf,
    known: Option<Mark>,
    seen: Option<Mark>,
}

impl File {
    fn new(path: &Path) -> Self {
        let known = mark(path);
        Self {
            path: path.to_owned(),
            known,
            seen: known,
        }
    }

    /// Whether it is another one, and whole: it has stayed the same since the last look, and can be run.
    fn has_changed(&mut self) -> bool {
        let now = mark(&self.path);
        let rests = now.is_some() && now == std::mem::replace(&mut self.seen, now);
        let changed = rests && now != self.known;
        if changed {
            self.known = now;
        }
        changed
    }
}

fn mark(path: &Path) -> Option<Mark> {
    let file = fs::metadata(path).ok()?;
    let runs = file.is_file() && file.permissions().mode() & 0o111 != 0 && file.len() > 0;
    Some((file.ino(), file.len(), file.modified().ok()?)).filter(|_| runs)
}

const LOOK: Duration = Duration::from_millis(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_changed_once_it_is_whole() {
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
            "it cannot be run"
        );
        write("number two", 0o755);

        assert!(!file.has_changed(), "it may still be growing");
        assert!(file.has_changed());
        assert!(!file.has_changed());
        fs::remove_file(&path).unwrap();
        assert!(!file.has_changed() && !file.has_changed());
    }
}
