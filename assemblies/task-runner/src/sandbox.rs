//! Where a task lives: a network, mounts and processes of its own, held open by one small process.
//!
//! ```text
//! runner ── line ── keeper            its network: lo with 127.0.0.1 and 169.254.170.2
//!   │  ◀── sockets ──┘ ┊
//!   ├── init of `a` ── joins ┊ ── own mounts, own PIDs ── container `a`
//!   └── init of `b` ── joins ┊ ── own mounts, own PIDs ── container `b`
//! ```
//!
//! The keeper is this program, started again as `<program> __sandbox`. It asks for the namespaces and then
//! only makes sockets: one that is made there belongs to the task's network wherever it is used, so the
//! runner listens and connects in it without living in it, and needs no virtual cables for that. For others
//! than root a user namespace lies around it, in which they are root; each container gets another one inside
//! of it, where it is who its definition says.

mod faults;
mod forward;
mod identities;
mod keeper;
mod layers;
mod loopback;
mod mounts;
mod place;
mod rights;
mod root;
mod shape;
mod wall;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

pub(crate) use faults::{BlackHole, Trouble, What};
pub use faults::{Faults, Network, Traffic};
pub use forward::{Border, Forward, carry};
pub(crate) use identities::give_to_image;
pub(crate) use layers::Layers;
pub(crate) use mounts::{Bind, Mounts, Tmpfs};
pub(crate) use place::{Last, Others, Place, finish, join, new_namespace};
pub(crate) use root::Root;
pub use shape::{METADATA, Shape};

use identities::{IDENTITIES, admit_everybody};
use keeper::{KEEPER, PAUSE, keep, pause};
use wall::{WITHIN, Wall, within};

/// Becomes one of the processes of a sandbox when the verb says so.
pub(crate) fn intercept(verb: &str, words: &[OsString]) -> Option<ExitCode> {
    let code = |done: io::Result<()>| done.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    match verb {
        KEEPER => Some(code(keep(words))),
        PAUSE => pause(),
        IDENTITIES => Some(code(admit_everybody(words))),
        WITHIN => Some(code(Err(within(words)))),
        _ => None,
    }
}

/// The namespaces of a task; they go when this does.
pub struct Sandbox {
    line: Mutex<UnixStream>,
    keeper: Mutex<Child>,
    pid: u32,
    shape: Shape,
    faults: Arc<Faults>,
}

impl Sandbox {
    /// Asks the kernel for them. `init` is the program that calls [`intercept`](crate::init::intercept).
    ///
    /// # Errors
    ///
    /// This machine does not give them out; the message says which.
    pub fn open(init: &Path, shape: Shape) -> io::Result<Self> {
        let (line, theirs) = UnixStream::pair()?;
        line.set_read_timeout(Some(PATIENCE))?;
        let keeper = Command::new(init)
            .arg(KEEPER)
            .arg(keeper::words(shape))
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;

        let mut sandbox = Self {
            line: Mutex::new(line.try_clone()?),
            keeper: Mutex::new(keeper),
            pid: 0,
            shape,
            faults: Arc::default(),
        };

        let mut said = String::new();
        // It says one line, and then nothing before it is asked.
        BufReader::new(line).read_line(&mut said)?;

        match said.trim_end().split_once(' ') {
            Some(("ready", pid)) => {
                sandbox.pid = pid.parse().map_err(io::Error::other)?;
                if shape.network {
                    let _ = sandbox.faults.wall.set(Wall::new(init, sandbox.pid));
                }
                Ok(sandbox)
            }
            Some(("refused", why)) => Err(io::Error::other(why.to_owned())),
            _ => Err(io::Error::other("the sandbox did not start")),
        }
    }

    /// What the task has for itself.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// What is wrong with the task's network, as its containers asked for it.
    pub fn faults(&self) -> &Arc<Faults> {
        &self.faults
    }

    /// The process whose namespaces are the task's.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// A TCP socket over IPv4 that belongs to the task's network.
    ///
    /// # Errors
    ///
    /// The system has none to spare, or the sandbox is gone.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        if !self.shape.network {
            return Ok(tcp()?);
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.write_all(b"s")?;
        receive(&mut line)
    }

    /// Listens in the task's network.
    ///
    /// # Errors
    ///
    /// As those of [`socket`](Self::socket), and the address is taken there.
    pub fn listen(&self, address: SocketAddrV4) -> io::Result<TcpListener> {
        let socket = self.socket()?;
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &SocketAddr::V4(address))?;
        rustix::net::listen(&socket, BACKLOG)?;

        if let Some(wall) = self.faults.wall.get()
            && *address.ip() == Ipv4Addr::LOCALHOST
        {
            wall.leave_open(address.port());
        }

        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Connects to an address of the task's network.
    ///
    /// # Errors
    ///
    /// As those of [`socket`](Self::socket), and nobody listens there.
    pub async fn connect(&self, address: SocketAddrV4) -> io::Result<tokio::net::TcpStream> {
        let socket = std::net::TcpStream::from(self.socket()?);
        socket.set_nonblocking(true)?;
        tokio::net::TcpSocket::from_std_stream(socket)
            .connect(address.into())
            .await
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pid, shape) = (self.pid, self.shape);
        f.debug_struct("Sandbox")
            .field("pid", &pid)
            .field("shape", &shape)
            .finish_non_exhaustive()
    }
}

impl Drop for Sandbox {
    /// The keeper hears the end of its line and goes.
    fn drop(&mut self) {
        let line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = line.shutdown(std::net::Shutdown::Both);
        let _ = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wait();
    }
}

fn tcp() -> rustix::io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
}

/// One byte with a socket beside it, or without one.
fn receive(line: &mut UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let got = recvmsg(
        &*line,
        &mut [IoSliceMut::new(&mut byte)],
        &mut beside,
        flags,
    )?;

    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(mut sockets) = message
            && let Some(socket) = sockets.next()
        {
            return Ok(socket);
        }
    }

    if got.bytes == 0 {
        return Err(io::Error::other("the sandbox is gone"));
    }
    if byte == *b"y" {
        // It was sent, and this process has no descriptor to spare for it.
        return Err(rustix::io::Errno::MFILE.into());
    }

    let mut why = [0; 4];
    line.read_exact(&mut why)?;
    Err(io::Error::from_raw_os_error(i32::from_ne_bytes(why)))
}

/// Longer than any kernel needs for a few namespaces.
const PATIENCE: Duration = Duration::from_secs(10);
const BACKLOG: i32 = 1024;
