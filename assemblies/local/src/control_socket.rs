//! The control socket of a running task: a Unix socket in its run directory that takes one command per
//! connection.
//!
//! The path of a Unix socket has at most 108 bytes (`sun_path`), that of a directory more. If it is too long,
//! both sides use a temporary symbolic link.

use std::env;
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::os::unix::net::{SocketAddr, UnixStream as Caller};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::time::timeout;

/// A command to a running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlCommand {
    /// Stop in order.
    Stop,
    /// Kill all containers.
    Kill,
    /// Stop as a Spot interruption does.
    Spot,
    /// Stop because the service replaces a task that is UNHEALTHY.
    Unhealthy,
}

impl ControlCommand {
    const ALL: [Self; 4] = [Self::Stop, Self::Kill, Self::Spot, Self::Unhealthy];

    /// Returns the command's byte on the socket.
    fn byte(self) -> u8 {
        match self {
            Self::Stop => b's',
            Self::Kill => b'k',
            Self::Spot => b'i',
            Self::Unhealthy => b'u',
        }
    }
}

/// The listening side. Removes the socket when dropped.
#[derive(Debug)]
pub(super) struct ControlSocket {
    listener: Option<UnixListener>,
    socket: PathBuf,
}

impl ControlSocket {
    /// Opens the socket. If that fails, the task runs without one.
    pub(super) fn open(folder: &Path) -> Self {
        let socket = folder.join(SOCKET);
        // A killed runner leaves its socket behind, and `bind` fails if the path exists.
        let _ = fs::remove_file(&socket);
        let listener = with_socket_path(folder, |path| UnixListener::bind(path)).ok();
        Self { listener, socket }
    }

    /// Waits for the next valid command.
    pub(super) async fn next(&self) -> ControlCommand {
        let Some(listener) = &self.listener else {
            return std::future::pending().await;
        };
        loop {
            let Ok((mut caller, _)) = listener.accept().await else {
                // Out of file descriptors; some may be free a moment later.
                tokio::time::sleep(LIMIT).await;
                continue;
            };

            let mut byte = [0];
            let received = timeout(LIMIT, caller.read_exact(&mut byte)).await;
            let command = ControlCommand::ALL
                .into_iter()
                .find(|command| [command.byte()] == byte);
            let (Ok(Ok(_)), Some(command)) = (received, command) else {
                // `is_alive` connects and sends nothing.
                continue;
            };

            // The reply means that the command arrived, not that it was carried out.
            let _ = timeout(LIMIT, caller.write_all(b"y")).await;
            return command;
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}

/// Returns whether a task is running in this run directory.
pub fn is_alive(folder: &Path) -> bool {
    with_socket_path(folder, |path| Caller::connect(path)).is_ok()
}

/// Sends a command and waits for the acknowledgement.
pub fn send(folder: &Path, command: ControlCommand) -> io::Result<()> {
    let mut caller = with_socket_path(folder, |path| Caller::connect(path))?;
    caller.set_read_timeout(Some(LIMIT * 2))?;
    caller.write_all(&[command.byte()])?;
    caller.read_exact(&mut [0])
}

/// Calls `act` with a path to the socket that is short enough.
fn with_socket_path<T>(folder: &Path, act: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let socket = folder.join(SOCKET);
    if SocketAddr::from_pathname(&socket).is_ok() {
        return act(&socket);
    }
    let link = TempLink::new(folder)?;
    act(&link.0.join("to").join(SOCKET))
}

/// A private temporary directory with a symbolic link in it. Both are removed on drop.
struct TempLink(PathBuf);

impl TempLink {
    fn new(folder: &Path) -> io::Result<Self> {
        static LINKS: AtomicU32 = AtomicU32::new(0);
        let number = LINKS.fetch_add(1, Ordering::Relaxed);
        let directory = env::temp_dir().join(format!("assemble-{}-{number}", process::id()));
        // `create` fails if the path exists, so the link cannot be another user's.
        DirBuilder::new().mode(0o700).create(&directory)?;
        let link = Self(directory);
        symlink(fs::canonicalize(folder)?, link.0.join("to"))?;
        Ok(link)
    }
}

impl Drop for TempLink {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.join("to"));
        let _ = fs::remove_dir(&self.0);
    }
}

const SOCKET: &str = "control";
/// Limit of each read and write, and the pause after a failed accept.
const LIMIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn works_in_a_directory_with_a_long_path() {
        let root = tempfile::tempdir().unwrap();
        // Longer than `sun_path`.
        let folder = root.path().join("x".repeat(200));
        fs::create_dir(&folder).unwrap();
        assert!(!is_alive(&folder));

        let socket = ControlSocket::open(&folder);
        assert!(is_alive(&folder));
        let caller = folder.clone();
        let sender = tokio::task::spawn_blocking(move || send(&caller, ControlCommand::Kill));

        assert_eq!(socket.next().await, ControlCommand::Kill);
        sender.await.unwrap().unwrap();
        drop(socket);
        assert!(!is_alive(&folder));

        // The temporary links are gone.
        let entries = fs::read_dir(env::temp_dir()).unwrap().flatten();
        let own = format!("assemble-{}-", process::id());
        let is_own = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&own);
        assert_eq!(entries.filter(is_own).count(), 0);
    }
}
