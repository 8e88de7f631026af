//! Black holes between the containers of a task, which the kernel makes: what the agent does on AWS too.
//!
//! What crosses the task's border passes through the runner, which swallows it itself ([`super::faults`]). What
//! containers say to each other does not, so a rule of the task's own network drops it. nft writes the rules, or
//! iptables where there is no nft; where there is neither, only the border has holes.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::join;

/// The verb of a command within a task's network.
pub(crate) const WITHIN: &str = "__within";

/// What sockets of the runner bear in the task's network, so that the wall lets them through: what crosses the
/// border is dealt with there.
pub(super) const MARK: u32 = 0x0a55_e3b1;

/// The rules of a task's network.
#[derive(Debug)]
pub(super) struct Wall {
    init: PathBuf,
    keeper: u32,
    /// Ports of 127.0.0.1 on which the runner listens: they lead out, over the border.
    open: Mutex<BTreeSet<u16>>,
}

impl Wall {
    pub(super) fn new(init: &Path, keeper: u32) -> Self {
        Self {
            init: init.to_owned(),
            keeper,
            open: Mutex::default(),
        }
    }

    /// Nothing is to be dropped at this port.
    pub(super) fn leave_open(&self, port: u16) {
        self.open().insert(port);
    }

    /// Drops what containers send each other at these ports, and nothing else. Holds the thread up until it is
    /// done.
    pub(super) fn stand(&self, ports: &BTreeSet<u16>) -> io::Result<()> {
        let ports: Vec<u16> = ports.difference(&self.open()).copied().collect();
        self.tell("nft", &["-f", "-"], &of_nft(&ports))
            .or_else(|_| self.tell("iptables-restore", &[], &of_iptables(&ports)))
    }

    fn open(&self) -> std::sync::MutexGuard<'_, BTreeSet<u16>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, program: &str, words: &[&str], rules: &str) -> io::Result<()> {
        let mut child = Command::new(&self.init)
            .arg(WITHIN)
            .arg(self.keeper.to_string())
            .arg(program)
            .args(words)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;

        let written = child
            .stdin
            .take()
            .map(|mut line| line.write_all(rules.as_bytes()));

        if child.wait()?.success() {
            written.unwrap_or(Ok(()))
        } else {
            Err(io::Error::other(format!("`{program}` takes no rules here")))
        }
    }
}

/// The whole of the table: it takes the place of the one before.
fn of_nft(ports: &[u16]) -> String {
    let table = "table inet assemble";
    let mut text = format!("{table}\ndelete {table}\n{table} {{\n chain holes {{\n");
    text += "  type filter hook output priority 0; policy accept;\n";
    for port in ports {
        for own in ["ip daddr 127.0.0.1", "ip6 daddr ::1"] {
            let _ = writeln!(text, "  {own} tcp dport {port} meta mark != {MARK} drop");
        }
    }
    text + " }\n}\n"
}

fn of_iptables(ports: &[u16]) -> String {
    let mut text = "*filter\n:OUTPUT ACCEPT [0:0]\n".to_owned();
    for port in ports {
        let _ = writeln!(
            text,
            "-A OUTPUT -d 127.0.0.1/32 -p tcp --dport {port} -m mark ! --mark {MARK} -j DROP"
        );
    }
    text + "COMMIT\n"
}

/// Becomes a command within the network of the process named; comes back only when that fails.
pub(crate) fn within(words: &[OsString]) -> io::Error {
    let [keeper, program, arguments @ ..] = words else {
        return io::ErrorKind::InvalidInput.into();
    };
    let keeper = keeper.to_str().and_then(|word| word.parse().ok());
    let Some(keeper) = keeper else {
        return io::ErrorKind::InvalidInput.into();
    };

    match join(keeper, &["user", "net"]) {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(failure) => failure,
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_has_a_rule_in_either_tongue() {
        assert!(of_nft(&[8080]).contains("127.0.0.1 tcp dport 8080"));
        assert!(!of_nft(&[]).contains("drop"));
        assert!(of_iptables(&[80, 443]).matches("DROP").count() == 2);
        assert!(!of_iptables(&[]).contains("DROP"));
    }
}
