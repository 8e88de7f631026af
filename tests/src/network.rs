//! A loopback of its own for each test, so that tests which bind the same ports run side by side and
//! nothing they serve is reachable from outside.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::workspace;

/// Where the processes of a test talk to each other.
///
/// A network namespace where the system allows one (root, or user namespaces); else this machine's
/// loopback, one test at a time.
#[derive(Debug)]
pub enum Network {
    /// A namespace held open by a sleeping process.
    Own {
        /// The holder; its end is the namespace's end.
        holder: Child,
        /// Whether a user namespace was needed to make it.
        user: bool,
    },
    /// The machine's loopback, held by a lock on a file until dropped.
    Shared(File),
}

impl Network {
    /// Makes a network for one test.
    pub fn new() -> Self {
        Self::own(false)
            .or_else(|| Self::own(true))
            .unwrap_or_else(Self::shared)
    }

    /// A command that runs inside this network.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match self {
            Self::Shared(_) => Command::new(program),
            Self::Own { holder, user } => {
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

    /// Which of these programs still run in this network; on a shared one, which run at all.
    pub fn programs_left(&self, names: &[&str]) -> Vec<String> {
        let holder = match self {
            Self::Own { holder, .. } => holder.id(),
            Self::Shared(_) => std::process::id(),
        };

        let namespace = |id: &str| fs::read_link(format!("/proc/{id}/ns/net")).ok();
        let here = namespace(&holder.to_string());
        let processes = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(Result::ok);
        let ids = processes.filter_map(|entry| entry.file_name().into_string().ok());

        ids.filter(|id| namespace(id) == here)
            .filter_map(|id| fs::read_to_string(format!("/proc/{id}/comm")).ok())
            .map(|name| name.trim().to_owned())
            // The kernel cuts a process's name after 15 bytes.
            .filter(|name| {
                names
                    .iter()
                    .any(|wanted| name == &wanted[..wanted.len().min(15)])
            })
            .collect()
    }

    /// `setpriv` ties the holder to this test: when the test is killed, the namespace goes too.
    fn own(user: bool) -> Option<Self> {
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
                "ip link set lo up && echo up && exec sleep 900",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;

        let mut line = String::new();
        let answered = BufReader::new(holder.stdout.take()?).read_line(&mut line);
        if answered.is_ok() && line == "up\n" {
            return Some(Self::Own { holder, user });
        }

        let _ = holder.wait();
        None
    }

    fn shared() -> Self {
        let path = workspace().join("target/acceptance.lock");
        let file = File::create(&path).expect("target/ is writable");
        file.lock().expect("the lock is free in the end");
        Self::Shared(file)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Self::Own { holder, .. } = self {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}
