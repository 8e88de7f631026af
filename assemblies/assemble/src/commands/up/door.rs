//! The way in to a task that runs: a socket in its folder that takes one word at a time.
//!
//! The paths of sockets are short by law, those of folders are not: where one is too long, both sides go
//! through a link that is there for that moment.

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

/// What a caller wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// An end in order.
    Stop,
    /// An end now.
    Kill,
    /// An end in order, as when Spot takes the task's capacity back.
    Spot,
    /// An end in order, as the service does not want a task that is UNHEALTHY.
    Unhealthy,
}

impl Word {
    const ALL: [Self; 4] = [Self::Stop, Self::Kill, Self::Spot, Self::Unhealthy];

    /// As it goes through the door.
    fn byte(self) -> u8 {
        match self {
            Self::Stop => b's',
            Self::Kill => b'k',
            Self::Spot => b'i',
            Self::Unhealthy => b'u',
        }
    }
}

/// The inside of the door; it goes when this does.
#[derive(Debug)]
pub(super) struct Door {
    listener: Option<UnixListener>,
    socket: PathBuf,
}

impl Door {
    /// Opens it. A folder that takes no sockets costs the door only.
    pub(super) fn open(folder: &Path) -> Self {
        let socket = folder.join(SOCKET);
        let _ = fs::remove_file(&socket);
        let listener = through(folder, |path| UnixListener::bind(path)).ok();
        Self { listener, socket }
    }

    /// The next word that somebody says and that makes sense.
    pub(super) async fn next(&self) -> Word {
        let Some(listener) = &self.listener else {
            return std::future::pending().await;
        };
        loop {
            let Ok((mut caller, _)) = listener.accept().await else {
                // Out of descriptors: a moment later there may be one.
                tokio::time::sleep(LIMIT).await;
                continue;
            };

            let mut said = [0];
            let heard = timeout(LIMIT, caller.read_exact(&mut said)).await;
            let word = Word::ALL.into_iter().find(|word| [word.byte()] == said);
            let (Ok(Ok(_)), Some(word)) = (heard, word) else {
                // Somebody who only looks whether anybody is in.
                continue;
            };

            let _ = timeout(LIMIT, caller.write_all(b"y")).await;
            return word;
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.socket);
    }
}

/// Whether somebody is behind the door.
pub(crate) fn is_alive(folder: &Path) -> bool {
    through(folder, |path| Caller::connect(path)).is_ok()
}

/// Says a word, and answers whether it was heard.
pub(crate) fn say(folder: &Path, word: Word) -> io::Result<()> {
    let mut caller = through(folder, |path| Caller::connect(path))?;
    caller.set_read_timeout(Some(LIMIT * 2))?;
    caller.write_all(&[word.byte()])?;
    caller.read_exact(&mut [0])
}

/// Acts on the socket of a folder, by a path that is short enough.
fn through<T>(folder: &Path, act: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let socket = folder.join(SOCKET);
    if SocketAddr::from_pathname(&socket).is_ok() {
        return act(&socket);
    }
    let link = Link::to(folder)?;
    act(&link.0.join("to").join(SOCKET))
}

/// A folder of this process's own with a link in it; it goes when this does.
struct Link(PathBuf);

impl Link {
    fn to(folder: &Path) -> io::Result<Self> {
        static LINKS: AtomicU32 = AtomicU32::new(0);
        let number = LINKS.fetch_add(1, Ordering::Relaxed);
        let own = env::temp_dir().join(format!("assemble-{}-{number}", process::id()));
        // Fails where there is anything of that name: nobody else can have put the link there.
        DirBuilder::new().mode(0o700).create(&own)?;
        let link = Self(own);
        symlink(fs::canonicalize(folder)?, link.0.join("to"))?;
        Ok(link)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0.join("to"));
        let _ = fs::remove_dir(&self.0);
    }
}

const SOCKET: &str = "control";
const LIMIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_with_a_long_path_has_a_door_too() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("x".repeat(200));
        fs::create_dir(&folder).unwrap();
        assert!(!is_alive(&folder));

        let door = Door::open(&folder);
        assert!(is_alive(&folder));
        let caller = folder.clone();
        let said = tokio::task::spawn_blocking(move || say(&caller, Word::Kill));

        assert_eq!(door.next().await, Word::Kill);
        said.await.unwrap().unwrap();
        drop(door);
        assert!(!is_alive(&folder));

        let left = fs::read_dir(env::temp_dir()).unwrap().flatten();
        let own = format!("assemble-{}-", process::id());
        let is_own = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(&own);
        assert_eq!(left.filter(is_own).count(), 0);
    }
}
