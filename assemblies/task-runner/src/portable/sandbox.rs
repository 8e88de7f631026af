//! What of a sandbox there is without Linux: the ways in and out, and their faults, for those who have a use
//! for them; no namespaces.

#[path = "../sandbox/faults.rs"]
mod faults;
#[path = "../sandbox/forward.rs"]
mod forward;
#[path = "../sandbox/layers.rs"]
mod layers;
#[path = "../sandbox/shape.rs"]
mod shape;

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::net::{SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

pub(crate) use faults::{BlackHole, Trouble, What};
pub use faults::{Faults, Network, Traffic};
pub use forward::{Border, Forward, carry};
pub(crate) use layers::Layers;
pub use shape::{METADATA, Shape};

/// There is no network of a task's own, whose kernel could be told of black holes.
mod wall {
    use std::collections::BTreeSet;
    use std::convert::Infallible;
    use std::io;

    /// The rules of a task's network, of which there are none here.
    #[derive(Debug)]
    pub(super) struct Wall(Infallible);

    impl Wall {
        pub(super) fn stand(&self, _: &BTreeSet<u16>) -> io::Result<()> {
            match self.0 {}
        }
    }
}

/// The namespaces of a task, of which there are none here.
#[derive(Debug)]
pub struct Sandbox(Infallible);

impl Sandbox {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always.
    pub fn open(_: &Path, _: Shape) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "namespaces are a thing of Linux",
        ))
    }

    /// What the task has for itself.
    pub fn shape(&self) -> Shape {
        match self.0 {}
    }

    /// What is wrong with the task's network, as its containers asked for it.
    pub fn faults(&self) -> &Arc<Faults> {
        match self.0 {}
    }

    /// A TCP socket over IPv4 that belongs to the task's network.
    ///
    /// # Errors
    ///
    /// Never: nobody has a sandbox to ask.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        match self.0 {}
    }

    /// Listens in the task's network.
    ///
    /// # Errors
    ///
    /// As those of [`socket`](Self::socket).
    pub fn listen(&self, _: SocketAddrV4) -> io::Result<TcpListener> {
        match self.0 {}
    }

    /// Connects to an address of the task's network.
    ///
    /// # Errors
    ///
    /// As those of [`socket`](Self::socket).
    #[expect(clippy::unused_async, reason = "the one of Linux waits")]
    pub async fn connect(&self, _: SocketAddrV4) -> io::Result<tokio::net::TcpStream> {
        match self.0 {}
    }
}

/// No image runs here.
#[expect(clippy::unnecessary_wraps, reason = "the one of Linux can fail")]
pub(crate) fn give_to_image(_: &Path) -> io::Result<u32> {
    Ok(0)
}

/// No process of a sandbox is ever started.
pub(crate) fn intercept(_: &str, _: &[OsString]) -> Option<ExitCode> {
    None
}

/// What an init is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Place {
    /// It is a container's, which would be PID 1 on Fargate.
    pub(crate) alone: bool,
    /// The signal that asks it to stop, where it is another one than SIGTERM.
    pub(crate) stop_signal: Option<i32>,
    /// What happens last.
    pub(crate) last: Last,
}

/// What the process is told that becomes the container's program.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Last {
    /// How many files it may have open: soft, hard.
    pub(crate) files: Option<(u64, u64)>,
    /// Its input is a line to its init, which closes when the program has begun.
    #[serde(default)]
    pub(crate) announced: bool,
    /// A small init stands before the program: `initProcessEnabled`.
    pub(crate) init: bool,
    /// Where it runs.
    pub(crate) folder: PathBuf,
}

impl Last {
    /// An image needs mounts.
    #[expect(clippy::unused_self, reason = "the one of Linux knows")]
    pub(crate) fn is_in_image(&self) -> bool {
        false
    }
}

impl Place {
    /// There is nowhere to go.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the one of Linux can fail"
    )]
    pub(crate) fn enter(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether others than the container's live in its PID namespace, and have to be told apart.
    #[expect(clippy::unused_self, reason = "the one of Linux knows")]
    pub(crate) fn shares_processes(&self) -> bool {
        false
    }

    /// Nobody is PID 1.
    #[expect(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "the one of Linux can fail"
    )]
    pub(crate) fn give_birth(&self) -> io::Result<bool> {
        Ok(false)
    }
}

/// Does what is left, just before the program.
pub(crate) fn finish(last: &Last) -> io::Result<()> {
    std::env::set_current_dir(&last.folder)?;
    if let Some((soft, hard)) = last.files {
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let within = Rlimit {
            current: Some(soft.min(hard).min(most)),
            maximum: Some(hard.min(most)),
        };

        // Some systems have a limit that they do not tell: then it stays as it is.
        let _ = setrlimit(Resource::Nofile, within);
    }

    Ok(())
}
