//! An isolated loopback per test, so that tests that bind the same ports can run in parallel and nothing
//! they serve is reachable from outside.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::workspace;

/// The network of a test's processes.
///
/// A network namespace if the system allows one (root, or user namespaces); otherwise the host's
/// loopback, for one test at a time.
#[derive(Debug)]
pub enum Network {
    /// A network namespace, kept alive by a sleeping process.
    Namespace {
        /// The process that keeps the namespace alive.
        holder: Child,
        /// Whether a user namespace was needed to create it.
        user: bool,
    },
    /// The host's loopback, with a lock on a file until dropped.
    Host(File),
}

impl Network {
    /// Creates a network for one test.
    pub fn new() -> Self {
        Self::new_namespace(false)
            .or_else(|| Self::new_namespace(true))
            .unwrap_or_else(Self::lock_host)
    }

    /// Returns a command that runs in this network.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match self {
            Self::Host(_) => Command::new(program),
            Self::Namespace { holder, user } => {
                let mut command = Command::new("nsenter");
                if *user {
                    command
                        .arg("--preserve-credentials")
                        .arg(format!("--user=/proc/{}/ns/user", holder.id()));
                }

                command
                    .arg(format!("--net=/proc/{}/ns/net", holder.id()))
                    .arg("--")
                    .arg(program);
                command
            }
        }
    }

    /// Returns which of these programs run in this network; on the host's network, which run at all.
    pub fn running_programs(&self, names: &[&str]) -> Vec<String> {
        let holder = match self {
            Self::Namespace { holder, .. } => holder.id(),
            Self::Host(_) => std::process::id(),
        };

        let namespace = |id: &str| fs::read_link(format!("/proc/{id}/ns/net")).ok();
        let own_namespace = namespace(&holder.to_string());
        let processes = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let ids = processes.filter_map(|entry| entry.file_name().into_string().ok());

        ids.filter(|id| namespace(id) == own_namespace)
            .filter_map(|id| fs::read_to_string(format!("/proc/{id}/comm")).ok())
            .map(|name| name.trim().to_owned())
            // The kernel truncates a process's name to 15 bytes (`TASK_COMM_LEN`).
            .filter(|name| {
                names
                    .iter()
                    .any(|expected| name == &expected[..expected.len().min(15)])
            })
            .collect()
    }

    /// Creates a namespace; `setpriv` kills the holder, and with it the namespace, when the test is killed.
    fn new_namespace(user: bool) -> Option<Self> {
        let mut holder = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--net"])
            .args(if user {
                &["--user", "--map-root-user"][..]
            } else {
                &[]
            })
            .args([
                "--",
                "sh",
                "-c",
                // Longer than any test; a forgotten holder ends by itself.
                "ip link set lo up && echo up && exec sleep 900",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;

        // The line shows that `unshare` succeeded and the loopback is up.
        let mut line = String::new();
        let answered = BufReader::new(holder.stdout.take()?).read_line(&mut line);
        if answered.is_ok() && line == "up\n" {
            return Some(Self::Namespace { holder, user });
        }

        let _ = holder.wait();
        None
    }

    fn lock_host() -> Self {
        let path = workspace().join("target/acceptance.lock");
        // The tests of other processes wait here too, which is why it is a file and not a mutex.
        let file = File::create(&path).expect("target/ is writable");
        file.lock().expect("the lock can be acquired");
        Self::Host(file)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Self::Namespace { holder, .. } = self {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}
