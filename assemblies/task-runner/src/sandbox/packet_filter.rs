//! Blackholes between the containers of a task, made by the kernel as the agent does on AWS.
//!
//! Traffic across the task's boundary passes through the runner, which drops it itself
//! ([`faults`](super::faults)). Traffic between containers does not, so a rule in the task's network drops it.
//! nft loads the rules, or iptables without nft. Without either, blackholes apply at the boundary only.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::join_namespaces;

/// The verb of a command that runs in a task's network.
pub(crate) const IN_NETWORK: &str = "__in-network";

/// The mark of the runner's sockets in the task's network. The filter lets them pass: their traffic crosses the
/// boundary and is handled there.
pub(super) const MARK: u32 = 0x0a55_e3b1;

/// The packet filter of a task's network.
#[derive(Debug)]
pub(super) struct PacketFilter {
    init: PathBuf,
    namespace_holder: u32,
    /// Ports of 127.0.0.1 on which the runner listens: they lead out of the task.
    exempt: Mutex<BTreeSet<u16>>,
}

impl PacketFilter {
    pub(super) fn new(init: &Path, namespace_holder: u32) -> Self {
        Self {
            init: init.to_owned(),
            namespace_holder,
            exempt: Mutex::default(),
        }
    }

    /// Never drops traffic to this port.
    pub(super) fn exempt_port(&self, port: u16) {
        self.exempt().insert(port);
    }

    /// Drops traffic between containers to exactly these ports. Blocks until the rules are loaded.
    pub(super) fn apply(&self, ports: &BTreeSet<u16>) -> io::Result<()> {
        let ports: Vec<u16> = ports.difference(&self.exempt()).copied().collect();
        self.load_rules("nft", &["-f", "-"], &nft_ruleset(&ports))
            .or_else(|_| self.load_rules("iptables-restore", &[], &iptables_ruleset(&ports)))
    }

    fn exempt(&self) -> std::sync::MutexGuard<'_, BTreeSet<u16>> {
        self.exempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load_rules(&self, program: &str, arguments: &[&str], rules: &str) -> io::Result<()> {
        let mut child = Command::new(&self.init)
            .arg(IN_NETWORK)
            .arg(self.namespace_holder.to_string())
            .arg(program)
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;

        // Taken out of the child, so that the pipe closes and the program sees the end of the rules.
        let written = child
            .stdin
            .take()
            .map(|mut stdin| stdin.write_all(rules.as_bytes()));

        if child.wait()?.success() {
            written.unwrap_or(Ok(()))
        } else {
            Err(io::Error::other(format!(
                "`{program}` cannot load rules here"
            )))
        }
    }
}

/// Returns a ruleset that replaces the whole table.
fn nft_ruleset(ports: &[u16]) -> String {
    let table = "table inet assemble";
    // `delete` fails for a table that does not exist, so it is declared first.
    let mut text = format!("{table}\ndelete {table}\n{table} {{\n chain blackholes {{\n");
    text += "  type filter hook output priority 0; policy accept;\n";
    for port in ports {
        for own in ["ip daddr 127.0.0.1", "ip6 daddr ::1"] {
            let _ = writeln!(text, "  {own} tcp dport {port} meta mark != {MARK} drop");
        }
    }
    text + " }\n}\n"
}

/// Returns a ruleset that replaces the whole filter table, as `iptables-restore` does without `--noflush`.
fn iptables_ruleset(ports: &[u16]) -> String {
    let mut text = "*filter\n:OUTPUT ACCEPT [0:0]\n".to_owned();
    for port in ports {
        let _ = writeln!(
            text,
            "-A OUTPUT -d 127.0.0.1/32 -p tcp --dport {port} -m mark ! --mark {MARK} -j DROP"
        );
    }
    text + "COMMIT\n"
}

/// Executes a command in the network of the given process; returns only on an error.
pub(crate) fn exec_in_network(arguments: &[OsString]) -> io::Error {
    let [namespace_holder, program, arguments @ ..] = arguments else {
        return io::ErrorKind::InvalidInput.into();
    };
    let namespace_holder = namespace_holder.to_str().and_then(|word| word.parse().ok());
    let Some(namespace_holder) = namespace_holder else {
        return io::ErrorKind::InvalidInput.into();
    };

    match join_namespaces(namespace_holder, &["user", "net"]) {
        Ok(()) => Command::new(program).args(arguments).exec(),
        Err(error) => error,
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ruleset_drops_the_ports() {
        assert!(nft_ruleset(&[8080]).contains("127.0.0.1 tcp dport 8080"));
        // Without ports the table is empty: that is how a blackhole ends.
        assert!(!nft_ruleset(&[]).contains("drop"));
        assert!(iptables_ruleset(&[80, 443]).matches("DROP").count() == 2);
        assert!(!iptables_ruleset(&[]).contains("DROP"));
    }
}
