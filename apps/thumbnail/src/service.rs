//! The HTTP service: takes a video, returns a picture.
//!
//! ```text
//! POST /v1/thumbnail?at=50%25&width=1600   the video as the body
//! GET  /v1/thumbnail?src=https://…         a video at a URL that `sources` allows
//! ```
//!
//! A request first takes a slot (workers + queue), or is rejected with 503 before its body is read.
//! Then it receives its body and waits for a worker. The decoder releases slot and worker
//! when it ends, even if the client has disconnected.

use std::sync::Arc;
use std::time::Instant;

use chassis::http::{Body, full, problem, trace_request};
use chassis::{Readiness, Settings, SettingsError, Shutdown};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{timeout, timeout_at};

use crate::access::Access;
use crate::location::Location;
use crate::query::{Query, Sources};
use crate::report::Report;
use crate::settings::Config;
use crate::source::spool::{SpoolBudget, spool};
use crate::source::{RangeSource, Traffic};
use crate::worker::picture_in_background;
use crate::{Error, ErrorKind, Picture, libav, telemetry};

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
}

impl Service {
    fn new(config: Config) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if config.workers == 0 {
            cores
        } else {
            config.workers
        };

        Ok(Self {
            // Clients choose the URLs, so redirects and private addresses are restricted.
            access: config.access()?.for_clients(config.source_addresses()),
            sources: Sources::new(&config.sources)?,
            slots: Arc::new(Semaphore::new(workers + config.max_queued_requests)),
            workers: Arc::new(Semaphore::new(workers)),
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
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            return busy();
        };

        match self.picture(request, slot, traffic.clone()).await {
            Ok(picture) => {
                telemetry::count(None, start.elapsed());
                let report = Report::new(start, &traffic);
                success(picture, report)
            }
            Err(error) => {
                telemetry::count(Some(error.kind()), start.elapsed());
                tracing::debug!(
                    kind = error.kind().name(),
                    error = error.chain(),
                    "request failed"
                );
                problem(error.kind().status(), error.kind().name(), &error.chain())
            }
        }
    }

    async fn picture(
        &self,
        request: Request<Body>,
        slot: OwnedSemaphorePermit,
        traffic: Arc<Traffic>,
    ) -> Result<Picture, Error> {
        let query = Query::parse(request.uri().query().unwrap_or_default())?;
        let video = match (request.method(), &query.source) {
            (&Method::POST, None) => Video::Body(self.receive(request, traffic.clone()).await?),
            (&Method::POST, Some(_)) => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "`src` is not allowed with POST; send the video as the body",
                ));
            }
            (_, Some(source)) => Video::Remote(self.sources.allow(source)?),
            (_, None) => return Err(Error::new(ErrorKind::Usage, "`src` is missing")),
        };

        let picture_request = query.request(&self.config)?;
        let timeout_error = |_| Error::new(ErrorKind::Timeout, "timed out waiting for a worker");
        let waiting = self.workers.clone().acquire_owned();
        // Waiting counts towards the deadline, so a queued request cannot take longer than `timeout`.
        let worker = timeout_at(picture_request.deadline.into(), waiting)
            .await
            .map_err(timeout_error)?
            .map_err(|_| Error::new(ErrorKind::WorkerLost, "the service is stopping"))?;
        let source = match video {
            Video::Body(source) => source,
            Video::Remote(location) => {
                let opening = self
                    .access
                    .open(&location, picture_request.deadline, traffic);
                let timeout_error =
                    |_| Error::new(ErrorKind::Timeout, "timed out opening the video");
                timeout_at(picture_request.deadline.into(), opening)
                    .await
                    .map_err(timeout_error)??
            }
        };

        // Both permits are released when the decoder has ended.
        let limits = self.config.process_limits();
        picture_in_background(source, picture_request, limits, (slot, worker)).await
    }

    async fn receive(
        &self,
        request: Request<Body>,
        traffic: Arc<Traffic>,
    ) -> Result<Box<dyn RangeSource>, Error> {
        let budget = SpoolBudget {
            max_bytes: self.config.max_body_bytes,
            max_memory_bytes: self.config.max_memory_body_bytes,
        };
        let receiving = spool(request.into_body(), budget, traffic);
        let timeout_error = |_| Error::new(ErrorKind::Timeout, "timed out receiving the video");

        timeout(self.config.body_timeout.duration(), receiving)
            .await
            .map_err(timeout_error)?
    }
}

enum Video {
    Body(Box<dyn RangeSource>),
    Remote(Location),
}

fn success(picture: Picture, report: Report) -> Response<Body> {
    let content_type = HeaderValue::from_static(picture.format.content_type());
    let report = report.with_picture(picture.info, picture.bytes.len());
    let mut response = Response::new(full(picture.bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    // JSON may contain non-ASCII characters, which a header cannot; then the report is omitted.
    if let Ok(value) = HeaderValue::from_str(&report.to_json()) {
        headers.insert(REPORT, value);
    }
    response
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
