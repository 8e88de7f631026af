//! The HTTP server of the endpoints: routes a path to its handler.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::credentials::{self, CredentialsSource};
use super::documents::{Container, Tags, Task, Version};
use super::faults::FaultInjection;
use super::protection::Protection;
use super::rate_limit::RateLimiter;
use super::stats::Samples;
use super::view::TaskView;
use crate::sandbox::NetworkFaults;

/// The origin of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A service, which may stop it.
    Service,
    /// A call of `RunTask`.
    RunTask,
}

/// The endpoints of one task; clones share their state.
#[derive(Debug, Clone)]
pub struct Endpoint {
    view: Arc<Mutex<TaskView>>,
    state: Arc<EndpointState>,
}

#[derive(Debug)]
struct EndpointState {
    origin: Origin,
    rate_limiter: RateLimiter,
    samples: Samples,
    protection: Protection,
    injection: FaultInjection,
    credentials: Option<CredentialsSource>,
}

/// A status and a JSON body.
pub(super) type JsonResponse = (u16, Value);

impl Endpoint {
    /// Creates the endpoints of a task. The caller updates the view with [`apply_event`](super::apply_event).
    ///
    /// `faults` are those of the task's own network. Credentials are served under the id of the task.
    pub fn new(
        view: Arc<Mutex<TaskView>>,
        origin: Origin,
        faults: Option<Arc<NetworkFaults>>,
        credentials: Option<CredentialsSource>,
    ) -> Self {
        Self {
            view,
            state: Arc::new(EndpointState {
                origin,
                rate_limiter: RateLimiter::new(PER_SECOND, BURST),
                samples: Samples::default(),
                protection: Protection::Own(Mutex::default()),
                injection: FaultInjection::new(faults),
                credentials,
            }),
        }
    }

    /// Keeps the task's protection in a file, which another process may read and write (`read_protection` and
    /// `write_protection`). Has no effect on a clone.
    #[must_use]
    pub fn with_protection_file(mut self, file: PathBuf) -> Self {
        if let Some(state) = Arc::get_mut(&mut self.state) {
            state.protection = Protection::File(file);
        }
        self
    }

    async fn handle(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        // One limit for all endpoints, as in the agent.
        if !self.state.rate_limiter.try_acquire(Instant::now()) {
            return response(429, &json!("Too many requests"));
        }

        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
            return response(413, &json!("the body is too large"));
        };
        // A copy: the lock must not be held while a handler waits.
        let view = self
            .view
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();

        let path = parts.uri.path();
        let (status, value) = match credentials_id(path, parts.uri.query()) {
            Some("") => credentials::missing_id(),
            Some(id) => self.credentials(&view, id).await,
            None if parts.method == Method::POST => {
                // Loading packet filter rules blocks the thread.
                let (path, body) = (path.to_owned(), body.to_bytes());
                let route = move || self.route(&view, &Method::POST, &path, &body);
                let response = tokio::task::spawn_blocking(route).await;
                response.unwrap_or_else(|error| (500, json!(error.to_string())))
            }
            None => self.route(&view, &parts.method, path, &body.to_bytes()),
        };

        response(status, &value)
    }

    async fn credentials(&self, view: &TaskView, id: &str) -> JsonResponse {
        match &self.state.credentials {
            None => credentials::not_configured(),
            Some(_) if id != view.id => credentials::unknown_id(),
            Some(source) => source.response().await,
        }
    }

    fn route(&self, view: &TaskView, method: &Method, path: &str, body: &[u8]) -> JsonResponse {
        let segments: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
        match (method, &segments[..]) {
            (&Method::GET, ["v4", id, rest @ ..]) => self.metadata(view, Version::V4, id, rest),
            (&Method::GET, ["v3", id, rest @ ..]) => self.metadata(view, Version::V3, id, rest),
            (&Method::GET, ["v2", "metadata"]) => {
                json_response(&Task::new(view, Version::V3, Tags::Omit))
            }
            (&Method::GET, ["v2", "stats"]) => (200, self.state.samples.task_stats(view)),
            (_, ["api", id, ..]) if view.container(id).is_none() => {
                container_not_found("ECS agent API", id)
            }
            (&Method::GET, ["api", _, "task-protection", "v1", "state"]) => {
                self.state.protection.get(view, self.state.origin)
            }
            (&Method::PUT, ["api", _, "task-protection", "v1", "state"]) => {
                self.state.protection.put(view, self.state.origin, body)
            }
            (&Method::POST, ["api", _, "fault", "v1", fault, verb]) => {
                self.state.injection.respond(view, fault, verb, body)
            }
            _ => (404, json!(format!("there is nothing at {path}"))),
        }
    }

    fn metadata(&self, view: &TaskView, version: Version, id: &str, rest: &[&str]) -> JsonResponse {
        let name = if version == Version::V4 { "V4" } else { "V3" };
        let Some(container) = view.container(id) else {
            return container_not_found(&format!("{name} container metadata handler"), id);
        };

        match rest {
            [] => json_response(&Container::new(view, container, version)),
            ["task"] => json_response(&Task::new(view, version, Tags::Omit)),
            ["taskWithTags"] => json_response(&Task::new(view, version, Tags::Include)),
            ["stats"] => (200, self.state.samples.container_stats(view, container)),
            ["task", "stats"] => (200, self.state.samples.task_stats(view)),
            // The agent associates accelerators with containers; a local task has none.
            ["associations", _] => (200, json!({ "Associations": [] })),
            ["associations", _, association] => {
                let error = format!("there is no association `{association}`");
                let message = format!("Unable to write container association response: {error}");
                (400, json!(message))
            }
            _ => (
                404,
                json!(format!(
                    "{name} metadata handler: there is nothing at {}",
                    rest.join("/")
                )),
            ),
        }
    }
}

/// Returns the requested credentials id, empty if the request has none; `None` for other paths.
fn credentials_id<'a>(path: &'a str, query: Option<&'a str>) -> Option<&'a str> {
    match path {
        "/v2/credentials" => Some(""),
        "/v1/credentials" => {
            let mut words = query.unwrap_or_default().split('&');
            Some(
                words
                    .find_map(|word| word.strip_prefix("id="))
                    .unwrap_or(""),
            )
        }
        _ => path.strip_prefix("/v2/credentials/"),
    }
}

/// Serves until the future is dropped.
pub async fn serve(endpoint: Endpoint, listener: TcpListener) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Reaps finished connections, so that the set stays as small as the number of open ones.
        while connections.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Most likely out of descriptors (EMFILE); retrying at once would spin.
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            continue;
        };

        let endpoint = endpoint.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let endpoint = endpoint.clone();
                async move { Ok::<_, Infallible>(endpoint.handle(request).await) }
            });
            let mut server = http1::Builder::new();

            server
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT);

            // An error of one client does not concern the others.
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}

fn json_response(document: &impl serde::Serialize) -> JsonResponse {
    match serde_json::to_value(document) {
        Ok(value) => (200, value),
        Err(error) => (500, json!(error.to_string())),
    }
}

fn container_not_found(handler: &str, id: &str) -> JsonResponse {
    (
        404,
        json!(format!(
            "{handler}: unable to find a container with the id '{id}'"
        )),
    )
}

fn response(status: u16, value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The rate limit of the ECS agent: requests per second, and the burst before it.
const PER_SECOND: f64 = 40.0;
const BURST: f64 = 60.0;
const MAX_BODY_BYTES: usize = 16 * 1024;
const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);
