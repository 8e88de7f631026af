//! The HTTP service: takes a video, returns a picture.
//!
//! ```text
//! POST /v1/thumbnail?at=50%25&width=1600   the video as the body
//! GET  /v1/thumbnail?src=https://…         a video at a URL that `sources` allows
//! ```
//!
//! A request takes a slot (workers + queue) when its body is complete, or is rejected with 503. Then it waits for a
//! worker and for memory. The decoder releases them when it ends, even if the client has disconnected.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chassis::http::{Body, ReceiveError, full, problem, trace_request};
use chassis::memory::{MemoryBudget, Reservation};
use chassis::{Readiness, Settings, SettingsError, Shutdown};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use crate::access::Access;
use crate::location::Location;
use crate::query::{Query, Sources};
use crate::report::Report;
use crate::settings::Config;
use crate::source::spool::{SpoolBudget, SpoolError, spool};
use crate::source::{RangeSource, Traffic};
use crate::worker::picture_in_background;
use crate::{Error, ErrorKind, Format, Picture, libav, telemetry};

/// Serves pictures until the shutdown, then drains for at most `limits.drain_timeout`.
///
/// The caller binds: `listen` is not used. `readiness` gets the latch `libav` when this is called,
/// not when the future is first polled.
pub fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: Shutdown,
    readiness: Readiness,
) -> impl Future<Output = Result<(), Error>> + Send {
    let loaded = readiness.latch("libav");
    async move {
        if let Err(error) = SettingsError::from_problems(config.problems()) {
            return Err(Error::new(ErrorKind::Usage, error.to_string()));
        }

        let limits = config.limits.clone();
        let service = Arc::new(Service::new(config)?);
        // Also loads the library.
        libav::version()?;
        loaded.release();
        let handler = move |request: Request<Body>| {
            let service = service.clone();
            async move { service.handle(request).await }
        };
        chassis::http::serve(listener, handler, limits, shutdown).await;
        Ok(())
    }
}

struct Service {
    config: Config,
    access: Access,
    sources: Sources,
    slots: Arc<Semaphore>,
    workers: Arc<Semaphore>,
    bodies: SpoolBudget,
    /// The memory for the processes that decode.
    decoding: MemoryBudget,
    /// The memory for pictures in responses, which clients may be slow to read.
    pictures: MemoryBudget,
}

impl Service {
    fn new(config: Config) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if config.workers == 0 {
            cores
        } else {
            config.workers
        };

        let bodies = config.spool_budget();
        let mut access = config.access()?.for_clients(config.source_addresses());
        // Videos that are fetched share memory and files with those that are received.
        access.budget.bodies = bodies.bodies.clone();
        access.budget.files = bodies.files.clone();
        Ok(Self {
            // Clients choose the URLs, so redirects and private addresses are restricted.
            access,
            sources: Sources::new(&config.sources)?,
            slots: Arc::new(Semaphore::new(workers + config.max_queued_requests)),
            workers: Arc::new(Semaphore::new(workers)),
            bodies,
            decoding: MemoryBudget::new(config.decoding_memory() as usize),
            pictures: MemoryBudget::new(config.picture_memory() as usize),
            config,
        })
    }

    async fn handle(&self, request: Request<Body>) -> Response<Body> {
        match (request.method(), request.uri().path()) {
            (&Method::POST, PATH) => {
                trace_request("POST /v1/thumbnail", request, |request| {
                    self.thumbnail(request)
                })
                .await
            }
            (&Method::GET, PATH) => {
                trace_request("GET /v1/thumbnail", request, |request| {
                    self.thumbnail(request)
                })
                .await
            }
            (_, PATH) => {
                let mut response = problem(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    "send a video with POST, or use GET with `src`",
                );
                let allow = HeaderValue::from_static("GET, POST");

                response.headers_mut().insert(header::ALLOW, allow);
                response
            }
            (&Method::GET, "/healthz") => Response::new(full("ok\n")),
            _ => problem(
                StatusCode::NOT_FOUND,
                "not_found",
                "unknown path, use `/v1/thumbnail`",
            ),
        }
    }

    async fn thumbnail(&self, request: Request<Body>) -> Response<Body> {
        let start = Instant::now();
        let traffic = Arc::new(Traffic::default());
        match self.picture(request, traffic.clone()).await {
            Ok(picture) => self.success(picture, start, &traffic),
            Err(Rejection::Busy) => busy(),
            Err(Rejection::Body(error)) => {
                tracing::debug!(%error, "video not received");
                error.response()
            }
            Err(Rejection::Video(error)) => failure(&error, start),
        }
    }

    async fn picture(
        &self,
        request: Request<Body>,
        traffic: Arc<Traffic>,
    ) -> Result<Picture, Rejection> {
        let query = Query::parse(request.uri().query().unwrap_or_default())?;
        let video = match (request.method(), &query.source) {
            (&Method::POST, None) => {
                let (head, body) = request.into_parts();
                let spooling = spool(body, &head.extensions, &self.bodies, traffic.clone());
                Video::Body(spooling.await?)
            }
            (&Method::POST, Some(_)) => {
                let message = "`src` is not allowed with POST; send the video as the body";
                return Err(Error::new(ErrorKind::Usage, message).into());
            }
            (_, Some(source)) => Video::Remote(self.sources.allow(source)?),
            (_, None) => return Err(Error::new(ErrorKind::Usage, "`src` is missing").into()),
        };

        // Not before the body is complete: connections that send nothing would take all slots.
        let slot = self.slots.clone().try_acquire_owned();
        let slot = slot.map_err(|_| Rejection::Busy)?;
        let picture_request = query.request(&self.config)?;
        let deadline = picture_request.deadline;
        let (worker, memory) = self.wait_for_worker(deadline).await?;
        let source = match video {
            Video::Body(source) => source,
            Video::Remote(location) => {
                let opening = self.access.open(&location, deadline, traffic);
                timeout_at(deadline.into(), opening)
                    .await
                    .map_err(|_| Error::new(ErrorKind::Timeout, "timed out opening the video"))??
            }
        };

        // All are released when the decoder has ended.
        let held = (slot, worker, memory);
        let limits = self.config.process_limits();
        Ok(picture_in_background(source, picture_request, limits, held).await?)
    }

    /// Waits for a worker and the memory of its process.
    ///
    /// Waiting counts towards the deadline, so a queued request cannot take longer than `timeout`.
    async fn wait_for_worker(
        &self,
        deadline: Instant,
    ) -> Result<(OwnedSemaphorePermit, Reservation), Error> {
        let waiting = async {
            let worker = self.workers.clone().acquire_owned().await.ok()?;
            let bytes = self.config.process_limits().max_memory_bytes;
            // In the order of the requests; the limit of a process is not above the budget.
            let memory = self.decoding.reserve(bytes as usize).await?;
            Some((worker, memory))
        };
        timeout_at(deadline.into(), waiting)
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, "timed out waiting for a worker"))?
            .ok_or_else(|| Error::new(ErrorKind::WorkerLost, "the service is stopping"))
    }

    fn success(&self, picture: Picture, start: Instant, traffic: &Traffic) -> Response<Body> {
        let size = picture.bytes.len();
        let limit = self.pictures.limit();
        if size > limit {
            let message = format!(
                "the picture has {size} bytes, and the limit is {limit}; choose a smaller width or JPEG"
            );
            return failure(&Error::new(ErrorKind::Unsupported, message), start);
        }

        let Some(reserved) = self.pictures.try_reserve(size) else {
            return busy();
        };
        telemetry::count(None, start.elapsed());
        let report = Report::new(start, traffic).with_picture(picture.info, size);
        success(picture.format, reserved.hold(picture.bytes), &report)
    }
}

/// Why there is no picture.
enum Rejection {
    /// The queue is full.
    Busy,
    Body(ReceiveError),
    Video(Error),
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::Video(error)
    }
}

impl From<SpoolError> for Rejection {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::Receive(error) => Self::Body(error),
            SpoolError::Video(error) => Self::Video(error),
        }
    }
}

enum Video {
    Body(Box<dyn RangeSource>),
    Remote(Location),
}

fn success(format: Format, picture: Bytes, report: &Report) -> Response<Body> {
    let mut response = Response::new(full(picture));
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(format.content_type());
    headers.insert(header::CONTENT_TYPE, content_type);
    // JSON may contain non-ASCII characters, which a header cannot; then the report is omitted.
    if let Ok(value) = HeaderValue::from_str(&report.to_json()) {
        headers.insert(REPORT, value);
    }
    response
}

fn failure(error: &Error, start: Instant) -> Response<Body> {
    let kind = error.kind();
    telemetry::count(Some(kind), start.elapsed());
    tracing::debug!(kind = kind.name(), error = error.chain(), "request failed");
    problem(kind.status(), kind.name(), &error.chain())
}

fn busy() -> Response<Body> {
    let message = "all workers are busy and the queue is full; try again";
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

const PATH: &str = "/v1/thumbnail";
const REPORT: http::HeaderName = http::HeaderName::from_static("x-thumbnail-report");
