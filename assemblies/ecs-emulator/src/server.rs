//! The HTTP server: accepts connections, limits them, and passes requests on.

use std::fs::{File, TryLockError};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use local::Project;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::api_error::ApiError;
use crate::arn::random_uuid;
use crate::dispatch::{self, ECS_TARGET, Operation, SCALING_TARGET};
use crate::event_log::EventLog;
use crate::faults::{Fault, Faults};
use crate::keys::{KeyFiles, Keys, private_folder};
use crate::request::Call;
use crate::response::{Output, Protocol, refuse, to_response};
use crate::runner::{Runner, Signal};
use crate::signature::{SignedRequest, verify};
use crate::state::State;
use crate::{Config, Error, access, services, sts, tasks};

/// An emulator that is ready to serve.
#[derive(Debug)]
pub struct Emulator {
    config: Config,
    listener: TcpListener,
    shared: Arc<Shared>,
    signals: Receiver<Signal>,
    events: EventLog,
    key_files: KeyFiles,
    /// Held until the emulator ends: two of them would replace each other's files.
    _lock: File,
}

impl Emulator {
    /// Creates keys, and the files of the emulator. The listener must be on a loopback address.
    pub fn new(config: Config, listener: TcpListener) -> Result<Self, Error> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(Error::NotLoopback(address));
        }
        let folder = private_folder(&config.root)?;
        let lock = lock(&folder)?;
        let events = config.events.clone();
        let events = EventLog::create(events.unwrap_or_else(|| folder.join("events.jsonl")))?;
        let keys = Keys::generate()?;
        let key_files = keys.write(&config, address)?;

        let (sender, signals) = sync_channel(SIGNALS);
        let shared = Shared {
            state: Mutex::new(State::new(&config)),
            faults: Mutex::new(Faults::new(&config.faults)),
            keys,
            signals: sender,
        };
        Ok(Self {
            config,
            listener,
            shared: Arc::new(shared),
            signals,
            events,
            key_files,
            _lock: lock,
        })
    }

    /// Returns the address of the API.
    pub fn address(&self) -> Result<SocketAddr, Error> {
        Ok(self.listener.local_addr()?)
    }

    /// Returns the keys with which clients sign.
    pub fn keys(&self) -> &Keys {
        &self.shared.keys
    }

    /// Returns the files that have the keys.
    pub fn key_files(&self) -> &KeyFiles {
        &self.key_files
    }

    /// Serves the API until `shutdown` completes, and then stops all tasks; `kill` kills those that are left.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()>,
        kill: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let folder = Arc::from(private_folder(&self.config.root)?);
        let project = Project::new(self.config.root.clone(), ISSUER.to_owned());
        let runner = Runner::new(
            Arc::clone(&self.shared),
            self.config,
            project,
            self.events,
            self.signals,
        );
        let handle = Handle::current();
        let thread = thread::Builder::new()
            .name("runner".to_owned())
            .spawn(move || {
                // Processes are started in the runtime, which reaps them.
                let _context = handle.enter();
                runner.run();
            })?;

        let services = tokio::spawn(services::run(Arc::clone(&self.shared), folder));
        accept_until(shutdown, &self.listener, &self.shared).await;
        // Before the tasks are stopped, which it would replace.
        services.abort();
        let _ = services.await;
        drop(self.listener);
        self.shared.send(Signal::StopAll).await;
        let mut ended = tokio::task::spawn_blocking(|| thread.join());
        tokio::select! {
            _ = &mut ended => return Ok(()),
            () = kill => self.shared.send(Signal::KillAll).await,
        }
        let _ = ended.await;
        Ok(())
    }
}

/// Locks the emulator's directory for this process.
fn lock(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let failure = |source| Error::File {
        act: "write",
        path: path.clone(),
        source,
    };
    let file = File::create(&path).map_err(failure)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::AlreadyRunning),
        Err(TryLockError::Error(source)) => Err(failure(source)),
    }
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    faults: Mutex<Faults>,
    keys: Keys,
    signals: SyncSender<Signal>,
}

impl Shared {
    /// Locks the state. Operations change it only once they can no longer fail, so one that panicked leaves it usable.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self, operation: &str) -> Option<Fault> {
        self.faults
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(operation)
    }

    /// Wakes the runner. If the channel is full, it is awake.
    pub(crate) fn wake(&self) {
        let _ = self.signals.try_send(Signal::Changed);
    }

    /// Sends a signal that must arrive.
    async fn send(&self, signal: Signal) {
        while let Err(TrySendError::Full(_)) = self.signals.try_send(signal) {
            sleep(ACCEPT_PAUSE).await;
        }
    }
}

async fn accept_until(
    shutdown: impl Future<Output = ()>,
    listener: &TcpListener,
    shared: &Arc<Shared>,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);

    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(listener, &permits) => accepted,
        };
        match accepted {
            Some((stream, permit)) => {
                let shared = Arc::clone(shared);
                connections.spawn(async move {
                    serve_connection(stream, shared).await;
                    drop(permit);
                });
            }
            // Out of file descriptors; some may be free a moment later.
            None => sleep(ACCEPT_PAUSE).await,
        }
    }
    connections.shutdown().await;
}

type Permit = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, permits: &Arc<Semaphore>) -> Option<(TcpStream, Permit)> {
    let permit = Arc::clone(permits).acquire_owned().await.ok()?;
    let (stream, _) = listener.accept().await.ok()?;
    Some((stream, permit))
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(request, Arc::clone(&shared)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    // A client that closes its connection is not an error of the emulator.
    let _ = served.await;
}

/// A connection that is closed instead of answered.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut by a fault rule")]
struct Cut;

async fn handle(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Cut> {
    if let Some(why) = access::find_refusal(request.headers()) {
        return Ok(refuse(StatusCode::FORBIDDEN, why));
    }
    if request.method() != Method::POST
        || request.uri().path() != "/"
        || request.uri().query().is_some()
    {
        return Ok(refuse(
            StatusCode::NOT_FOUND,
            "this is the ECS API of `assemble emulate`; use an AWS client",
        ));
    }

    let (parts, body) = request.into_parts();
    let collected = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await;
    let body = match collected {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Ok(refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body has more than 1 MiB, or was cut off",
            ));
        }
        Err(_) => {
            return Ok(refuse(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time",
            ));
        }
    };

    let request_id = random_uuid();
    let result = answer(&parts.headers, &body, &shared, &request_id).await?;
    Ok(to_response(
        result,
        target_protocol(&parts.headers),
        &request_id,
    ))
}

/// Verifies a call, and carries it out unless a fault rule says otherwise.
async fn answer(
    headers: &HeaderMap,
    body: &[u8],
    shared: &Shared,
    request_id: &str,
) -> Result<Result<Output, ApiError>, Cut> {
    let target =
        match Target::read(headers).and_then(|target| authorize(target, headers, body, shared)) {
            Ok(target) => target,
            Err(error) => return Ok(Err(error)),
        };
    let fault = shared.next_fault(target.operation());
    match fault {
        Some(Fault::Error(error)) => return Ok(Err(error)),
        Some(Fault::NoCapacity) if target.operation() == "RunTask" => {
            return Ok(Ok(Output::Json(tasks::no_capacity())));
        }
        Some(Fault::Cut) => return Err(Cut),
        Some(Fault::Delay(delay)) => sleep(delay).await,
        Some(Fault::NoCapacity | Fault::CutAfter) | None => {}
    }

    let result = call(target, body, shared, request_id);
    shared.wake();
    match fault {
        Some(Fault::CutAfter) => Err(Cut),
        _ => Ok(result),
    }
}

/// The service and the operation that a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target<'a> {
    Ecs(&'a str),
    Scaling(&'a str),
    Sts,
}

impl<'a> Target<'a> {
    /// Returns the name of the operation, for fault rules.
    fn operation(self) -> &'a str {
        match self {
            Self::Ecs(name) | Self::Scaling(name) => name,
            Self::Sts => "GetCallerIdentity",
        }
    }

    fn read(headers: &'a HeaderMap) -> Result<Self, ApiError> {
        let header = headers
            .get("x-amz-target")
            .map(|target| target.to_str().unwrap_or_default());
        let Some(header) = header else {
            return match target_protocol(headers) {
                Protocol::Query => Ok(Self::Sts),
                Protocol::Json => Err(ApiError::new(
                    "UnknownOperationException",
                    "the request has no X-Amz-Target header",
                )),
            };
        };
        match header.split_once('.') {
            Some((ECS_TARGET, operation)) => Ok(Self::Ecs(operation)),
            Some((SCALING_TARGET, operation)) => Ok(Self::Scaling(operation)),
            _ => Err(dispatch::unsupported(header)),
        }
    }
}

fn target_protocol(headers: &HeaderMap) -> Protocol {
    let kind = headers
        .get("content-type")
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded")
        && !headers.contains_key("x-amz-target")
    {
        Protocol::Query
    } else {
        Protocol::Json
    }
}

/// Verifies the signature of a call.
fn authorize<'a>(
    target: Target<'a>,
    headers: &HeaderMap,
    body: &[u8],
    shared: &Shared,
) -> Result<Target<'a>, ApiError> {
    let region = shared.state().owner.region.clone();
    let (service, region) = match target {
        Target::Ecs(_) => ("ecs", Some(region.as_str())),
        Target::Scaling(_) => ("application-autoscaling", Some(region.as_str())),
        // Clients sign for the region of the global endpoint too.
        Target::Sts => ("sts", None),
    };
    let request = SignedRequest {
        headers,
        body,
        service,
        region,
    };
    verify(request, &shared.keys, SystemTime::now())?;
    Ok(target)
}

/// Carries out a call.
fn call(
    target: Target,
    body: &[u8],
    shared: &Shared,
    request_id: &str,
) -> Result<Output, ApiError> {
    match target {
        Target::Sts => {
            let owner = shared.state().owner.clone();
            sts::call(body, &owner, &shared.keys.id, request_id).map(Output::Xml)
        }
        Target::Ecs(name) => carry_out(dispatch::find_ecs(name)?, body, shared),
        Target::Scaling(name) => carry_out(dispatch::find_scaling(name)?, body, shared),
    }
}

fn carry_out(operation: Operation, body: &[u8], shared: &Shared) -> Result<Output, ApiError> {
    let call = Call::parse(body, SystemTime::now())?;
    operation(&mut shared.state(), &call).map(Output::Json)
}

/// The issuer of development tokens matters to commands that print them, which the emulator does not.
const ISSUER: &str = "";
/// The number of signals that may wait; more have no effect.
const SIGNALS: usize = 16;
const MAX_CONNECTIONS: usize = 256;
/// Requests of ECS are smaller: a task definition has at most 64 KiB.
const MAX_BODY_BYTES: usize = 1 << 20;
const MAX_HEADER_BYTES: usize = 64 << 10;
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
