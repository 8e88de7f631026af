//! The sandbox of a task: its network, mount and PID namespaces, held open by one small process.
//!
//! ```text
//! runner ─ socket ─ namespace holder       its network: lo with 127.0.0.1 and 169.254.170.2
//!   │  ◀── sockets ──┘ ┊
//!   ├── init of `a` ── joins ┊ ── own mounts, own PIDs ── container `a`
//!   └── init of `b` ── joins ┊ ── own mounts, own PIDs ── container `b`
//! ```
//!
//! The namespace holder is this program, started as `<program> __sandbox`. It creates the namespaces and then
//! only creates sockets. A socket belongs to the network it was created in, wherever it is used. So the runner
//! listens and connects in the task's network from outside, without virtual Ethernet devices. A caller other
//! than root gets a user namespace around it, in which it is root. Each container gets another one inside, in
//! which it is the user of its definition.

mod capabilities;
mod faults;
mod forward;
mod id_map;
mod isolation;
mod loopback;
mod mounts;
mod namespace_holder;
mod overlay;
mod packet_filter;
mod process_context;
mod root;

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

pub(crate) use faults::{BlackholeRule, Impairment, ImpairmentKind};
pub use faults::{Cidr, NetworkFaults, Traffic};
pub use forward::{Boundary, Forward, forward};
pub(crate) use id_map::chown_to_image_users;
pub use id_map::image_owner;
pub use isolation::{Isolation, METADATA_ADDRESS};
pub(crate) use mounts::{Bind, Mounts, Tmpfs};
pub(crate) use overlay::Overlay;
pub(crate) use process_context::{
    ExecContext, ProcessContext, UserMap, join_namespaces, new_namespace, prepare_exec,
};
pub(crate) use root::ImageRoot;

use id_map::{ID_MAP, write_id_maps};
use namespace_holder::{NAMESPACE_HOLDER, PAUSE, hold_namespaces, pause};
use packet_filter::{IN_NETWORK, PacketFilter, exec_in_network};

/// Runs the helper process that the verb names, or returns `None`.
pub(crate) fn run_helper(verb: &str, arguments: &[OsString]) -> Option<ExitCode> {
    let code = |result: io::Result<()>| result.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    match verb {
        NAMESPACE_HOLDER => Some(code(hold_namespaces(arguments))),
        PAUSE => pause(),
        ID_MAP => Some(code(write_id_maps(arguments))),
        IN_NETWORK => Some(code(Err(exec_in_network(arguments)))),
        _ => None,
    }
}

/// The namespaces of a task; dropping it ends them.
pub struct Sandbox {
    socket: Mutex<UnixStream>,
    namespace_holder: Mutex<Child>,
    /// The process in the task's namespaces: the holder, or PID 1 of the shared PID namespace.
    pid: u32,
    isolation: Isolation,
    faults: Arc<NetworkFaults>,
}

impl Sandbox {
    /// Creates the namespaces. `init` is a program that calls [`run_if_init`](crate::init::run_if_init).
    ///
    /// # Errors
    ///
    /// Returns an error that names the namespace this host does not grant.
    pub fn open(init: &Path, isolation: Isolation) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(START_TIMEOUT))?;
        let namespace_holder = Command::new(init)
            .arg(NAMESPACE_HOLDER)
            .arg(namespace_holder::arguments(isolation))
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at a terminal goes to the runner alone.
            .process_group(0)
            .spawn()?;

        let mut sandbox = Self {
            socket: Mutex::new(ours.try_clone()?),
            namespace_holder: Mutex::new(namespace_holder),
            pid: 0,
            isolation,
            faults: Arc::default(),
        };

        let mut answer = String::new();
        // The reader may buffer ahead, but the holder sends one line and then waits for requests.
        BufReader::new(ours).read_line(&mut answer)?;

        match answer.trim_end().split_once(' ') {
            Some(("ready", pid)) => {
                sandbox.pid = pid.parse().map_err(io::Error::other)?;
                if isolation.network {
                    let _ = sandbox
                        .faults
                        .packet_filter
                        .set(PacketFilter::new(init, sandbox.pid));
                }
                Ok(sandbox)
            }
            Some(("refused", error)) => Err(io::Error::other(error.to_owned())),
            _ => Err(io::Error::other("the sandbox did not start")),
        }
    }

    /// Returns which namespaces the task has for itself.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Returns the network faults that are active in the task.
    pub fn faults(&self) -> &Arc<NetworkFaults> {
        &self.faults
    }

    /// Returns the process that lives in the task's namespaces.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Creates a TCP socket over IPv4 in the task's network.
    ///
    /// # Errors
    ///
    /// Returns an error if the descriptors are exhausted or the sandbox has ended.
    pub fn socket(&self) -> io::Result<OwnedFd> {
        if !self.isolation.network {
            return Ok(new_tcp_socket()?);
        }
        // One request at a time: the answers on the socket carry no ids.
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        socket.write_all(b"s")?;
        receive_socket(&mut socket)
    }

    /// Listens in the task's network.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`socket`](Self::socket), or an error if the address is in use there.
    pub fn listen(&self, address: SocketAddrV4) -> io::Result<TcpListener> {
        let socket = self.socket()?;
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &SocketAddr::V4(address))?;
        rustix::net::listen(&socket, BACKLOG)?;

        // This port leads out of the task: blackholes between containers must not drop its traffic.
        if let Some(packet_filter) = self.faults.packet_filter.get()
            && *address.ip() == Ipv4Addr::LOCALHOST
        {
            packet_filter.exempt_port(address.port());
        }

        let listener = TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Connects to an address of the task's network.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`socket`](Self::socket), or an error if no process listens there.
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
        let (pid, isolation) = (self.pid, self.isolation);
        f.debug_struct("Sandbox")
            .field("pid", &pid)
            .field("isolation", &isolation)
            .finish_non_exhaustive()
    }
}

impl Drop for Sandbox {
    /// Closes the socket, on which the namespace holder exits, and reaps it.
    fn drop(&mut self) {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = socket.shutdown(std::net::Shutdown::Both);
        let _ = self
            .namespace_holder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .wait();
    }
}

fn new_tcp_socket() -> rustix::io::Result<OwnedFd> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
}

/// Receives one byte and the socket passed with it, or an error code.
fn receive_socket(socket: &mut UnixStream) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(
        &*socket,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        flags,
    )?;

    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut sockets) = message
            && let Some(socket) = sockets.next()
        {
            return Ok(socket);
        }
    }

    if received.bytes == 0 {
        return Err(io::Error::other("the sandbox is gone"));
    }
    if byte == *b"y" {
        // The kernel drops a passed descriptor if this process has reached its limit (man 7 unix).
        return Err(rustix::io::Errno::MFILE.into());
    }

    let mut code = [0; 4];
    socket.read_exact(&mut code)?;
    Err(io::Error::from_raw_os_error(i32::from_ne_bytes(code)))
}

/// Creating the namespaces takes milliseconds; a kernel that needs longer is considered stuck.
const START_TIMEOUT: Duration = Duration::from_secs(10);
const BACKLOG: i32 = 1024;
