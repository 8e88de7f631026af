//! The HTTP server: accepts connections, limits them, and passes requests on.

use std::pin::pin;
use std::sync::Arc;
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
use crate::dispatch::{self, ECS_TARGET, Operation, SCALING_TARGET};
use crate::emulator::Shared;
use crate::faults::Fault;
use crate::request::Call;
use crate::response::{Output, Protocol, refuse, to_response};
use crate::signature::{SignedRequest, verify};
use crate::{access, sts, tasks};

/// Serves connections until `shutdown` completes.
pub(crate) async fn accept_until(
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
            // Ended connections are removed, so that the set does not grow.
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
    // Responses are small, and a client waits for each.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(request, Arc::clone(&shared)));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // A client that sends nothing must not hold one of the connections.
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
    // First, so that a page learns nothing about the rest.
    if let Some(why) = access::find_refusal(request.headers()) {
        return Ok(refuse(StatusCode::FORBIDDEN, why));
    }
    // The protocols have one path. Refused with a text, since it is a person with a browser or curl.
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
    // The body is read before the signature is checked, since the signature covers it; hence the limit.
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

    // Every response has one, errors too: users search logs for it.
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
        // Other operations have no such failure, and are carried out.
        Some(Fault::NoCapacity) if target.operation() == "RunTask" => {
            return Ok(Ok(Output::Json(tasks::no_capacity())));
        }
        Some(Fault::Cut) => return Err(Cut),
        Some(Fault::Delay(delay)) => sleep(delay).await,
        Some(Fault::NoCapacity | Fault::CutAfter) | None => {}
    }

    let result = call(target, body, shared, request_id);
    // The call may have started or stopped tasks.
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
            _ => Err(dispatch::unknown_operation(header)),
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
        // Found before the body is parsed, so that an unknown operation is named as such.
        Target::Ecs(name) => carry_out(dispatch::find_ecs(name)?, body, shared),
        Target::Scaling(name) => carry_out(dispatch::find_scaling(name)?, body, shared),
    }
}

fn carry_out(operation: Operation, body: &[u8], shared: &Shared) -> Result<Output, ApiError> {
    let call = Call::parse(body, SystemTime::now())?;
    operation(&mut shared.state(), &call).map(Output::Json)
}

const MAX_CONNECTIONS: usize = 256;
/// Requests of ECS are smaller: a task definition has at most 64 KiB.
const MAX_BODY_BYTES: usize = 1 << 20;
const MAX_HEADER_BYTES: usize = 64 << 10;
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
