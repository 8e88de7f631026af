//! The service: a film in, a picture out, over HTTP.
//!
//! ```text
//! POST /v1/thumbnail?at=50%25&width=1600   the film as the body
//! GET  /v1/thumbnail?src=https://…         a film at an address that `sources` allows
//! ```
//!
//! A request first needs a place (workers + queue; else 503 at once, before its body is read), then
//! takes its body in, then waits for a worker. Place and worker are given back when the decoding
//! thread has ended, even if its client has gone.

use std::sync::Arc;
use std::time::Instant;

use chassis::http::{Body, full, problem, traced};
use chassis::{BoxError, Process};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as HttpBody;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{timeout, timeout_at};

use crate::access::Access;
use crate::client::Reach;
use crate::location::Location;
use crate::query::{Query, Sources};
use crate::report::Report;
use crate::s3::Aws;
use crate::settings::Config;
use crate::source::spool::{Room, spool};
use crate::source::{RangeSource, Traffic};
use crate::worker::picture_apart;
use crate::{Error, Kind, Picture, telemetry};

/// Serves pictures on a listener until the shutdown, then finishes what is in flight.
pub async fn serve(
    config: Config,
    aws: Aws,
    listener: TcpListener,
    process: &Process,
) -> Result<(), BoxError> {
    let mut limits = config.limits.clone();
    limits.drain = process.common.drain_limit;
    let service = Arc::new(Service::new(config, aws)?);
    let answer = move |request: Request<Body>| {
        let service = service.clone();
        async move { service.answer(request).await }
    };

    chassis::http::serve(listener, answer, limits, process.shutdown.clone()).await
}

struct Service {
    config: Config,
    access: Access,
    sources: Sources,
    places: Arc<Semaphore>,
    workers: Arc<Semaphore>,
}

impl Service {
    fn new(config: Config, aws: Aws) -> Result<Self, Error> {
        let reach = if config.insecure_private_sources {
            Reach::Everywhere
        } else {
            Reach::Public
        };

        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if config.workers == 0 {
            cores
        } else {
            config.workers
        };

        Ok(Self {
            access: config.access(aws)?.for_clients(reach),
            sources: Sources::new(&config.sources)?,
            places: Arc::new(Semaphore::new(workers + config.queue)),
            workers: Arc::new(Semaphore::new(workers)),
            config,
        })
    }

    async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody,
        B::Error: Into<BoxError>,
    {
        match (request.method(), request.uri().path()) {
            (&Method::POST, PATH) => {
                traced("POST /v1/thumbnail", request, |request| {
                    self.thumbnail(request)
                })
                .await
            }
            (&Method::GET, PATH) => {
                traced("GET /v1/thumbnail", request, |request| {
                    self.thumbnail(request)
                })
                .await
            }
            (_, PATH) => {
                let mut response = problem(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "method_not_allowed",
                    "send a film with POST, or name one with GET and `src`",
                );
                let allow = HeaderValue::from_static("GET, POST");

                response.headers_mut().insert(header::ALLOW, allow);
                response
            }
            (&Method::GET, "/healthz") => Response::new(full("ok\n")),
            _ => problem(
                StatusCode::NOT_FOUND,
                "not_found",
                "the service is at `/v1/thumbnail`",
            ),
        }
    }

    async fn thumbnail<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody,
        B::Error: Into<BoxError>,
    {
        let began = Instant::now();
        let traffic = Arc::new(Traffic::default());
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            return busy();
        };

        match self.picture(request, place, traffic.clone()).await {
            Ok(picture) => {
                telemetry::count(None, began.elapsed());
                let report = Report::new(began, &traffic);
                success(picture, report)
            }
            Err(error) => {
                telemetry::count(Some(error.kind()), began.elapsed());
                tracing::debug!(
                    kind = error.kind().name(),
                    error = error.chain(),
                    "no picture"
                );
                problem(error.kind().status(), error.kind().name(), &error.chain())
            }
        }
    }

    async fn picture<B>(
        &self,
        request: Request<B>,
        place: OwnedSemaphorePermit,
        traffic: Arc<Traffic>,
    ) -> Result<Picture, Error>
    where
        B: HttpBody,
        B::Error: Into<BoxError>,
    {
        let query = Query::parse(request.uri().query().unwrap_or_default())?;
        let source = match (request.method(), &query.source) {
            (&Method::POST, None) => Film::Here(self.receive(request, traffic.clone()).await?),
            (&Method::POST, Some(_)) => {
                return Err(Error::new(
                    Kind::Usage,
                    "`src` is for GET; a POST brings its film",
                ));
            }
            (_, Some(source)) => Film::Far(self.sources.allow(source)?),
            (_, None) => return Err(Error::new(Kind::Usage, "`src` is missing; name a film")),
        };

        let wanted = query.request(&self.config)?;
        let late = |_| Error::new(Kind::Timeout, "no worker was free in time");
        let waiting = self.workers.clone().acquire_owned();
        let worker = timeout_at(wanted.deadline.into(), waiting)
            .await
            .map_err(late)?
            .map_err(|_| Error::new(Kind::WorkerLost, "the service is stopping"))?;
        let source = match source {
            Film::Here(source) => source,
            Film::Far(location) => {
                let opening = self.access.open(&location, wanted.deadline, traffic);
                let late = |_| Error::new(Kind::Timeout, "the film could not be opened in time");
                timeout_at(wanted.deadline.into(), opening)
                    .await
                    .map_err(late)??
            }
        };

        picture_apart(source, wanted, (place, worker)).await
    }

    async fn receive<B>(
        &self,
        request: Request<B>,
        traffic: Arc<Traffic>,
    ) -> Result<Box<dyn RangeSource>, Error>
    where
        B: HttpBody,
        B::Error: Into<BoxError>,
    {
        let room = Room {
            total: self.config.max_body,
            memory: self.config.memory_body,
        };
        let receiving = spool(request.into_body(), room, traffic);
        let late = |_| Error::new(Kind::Timeout, "the film did not arrive in time");

        timeout(self.config.upload_timeout.duration(), receiving)
            .await
            .map_err(late)?
    }
}

enum Film {
    Here(Box<dyn RangeSource>),
    Far(Location),
}

fn success(picture: Picture, report: Report) -> Response<Body> {
    let content_type = HeaderValue::from_static(picture.format.content_type());
    let report = report.picture(picture.facts, picture.bytes.len());
    let mut response = Response::new(full(picture.bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    if let Ok(line) = HeaderValue::from_str(&report.line()) {
        headers.insert(REPORT, line);
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
