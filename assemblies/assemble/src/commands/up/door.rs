//! The way in to a task that runs: a socket in its folder that takes one word at a time.
//!
//! The paths of sockets are short by law, those of folders are not: both sides go through the
//! folder's own descriptor.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream as Caller;
use std::path::{Path, PathBuf};
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

fn through<T>(folder: &Path, act: impl Fn(&Path) -> io::Result<T>) -> io::Result<T> {
    let folder = File::open(folder)?;
    act(Path::new(&format!(
        "/proc/self/fd/{}/{SOCKET}",
        folder.as_raw_fd()
    )))
}

const SOCKET: &str = "control";
const LIMIT: Duration = Duration::from_secs(1);
