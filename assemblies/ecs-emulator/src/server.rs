//! The HTTP server: accepts connections, limits them, and passes requests on.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::api_error::ApiError;
use crate::arn::random_uuid;
use crate::dispatch::{self, ECS_TARGET};
use crate::keys::Keys;
use crate::request::Call;
use crate::response::{Output, Protocol, refuse, to_response};
use crate::signature::{SignedRequest, verify};
use crate::state::State;
use crate::{Config, Error, access, sts};

/// Serves the API on a loopback listener until `shutdown` completes.
pub async fn serve(
    config: Config,
    keys: Keys,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(Error::NotLoopback(address));
    }
    let shared = Arc::new(Shared {
        state: Mutex::new(State::new(&config)),
        keys,
    });
    accept_until(shutdown, &listener, &shared).await;
    Ok(())
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    keys: Keys,
}

impl Shared {
    /// Locks the state. Operations change it only once they can no longer fail, so one that panicked leaves it usable.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn handle(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
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
    let target = Target::read(&parts.headers);
    let result =
        target.and_then(|target| call(target, &parts.headers, &body, &shared, &request_id));
    Ok(to_response(
        result,
        target_protocol(&parts.headers),
        &request_id,
    ))
}

/// The service and the operation that a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target<'a> {
    Ecs(&'a str),
    Sts,
}

impl<'a> Target<'a> {
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

/// Carries out a call.
fn call(
    target: Target,
    headers: &HeaderMap,
    body: &[u8],
    shared: &Shared,
    request_id: &str,
) -> Result<Output, ApiError> {
    let now = SystemTime::now();
    let owner = shared.state().owner.clone();
    let (service, region) = match target {
        Target::Ecs(_) => ("ecs", Some(owner.region.as_str())),
        // Clients sign for the region of the global endpoint too.
        Target::Sts => ("sts", None),
    };
    verify(
        SignedRequest {
            headers,
            body,
            service,
            region,
        },
        &shared.keys,
        now,
    )?;

    match target {
        Target::Sts => sts::call(body, &owner, &shared.keys.id, request_id).map(Output::Xml),
        Target::Ecs(name) => {
            let operation = dispatch::find_ecs(name)?;
            let call = Call::parse(body, now)?;
            operation(&mut shared.state(), &call).map(Output::Json)
        }
    }
}

const MAX_CONNECTIONS: usize = 256;
/// Requests of ECS are smaller: a task definition has at most 64 KiB.
const MAX_BODY_BYTES: usize = 1 << 20;
const MAX_HEADER_BYTES: usize = 64 << 10;
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
