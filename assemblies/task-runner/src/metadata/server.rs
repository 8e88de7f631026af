//! The endpoint itself: a path, and who answers it.

use std::convert::Infallible;
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

use super::credentials::{self, Source};
use super::faults::Injection;
use super::limit::Limit;
use super::protection::Protection;
use super::shapes::{Container, Tags, Task, Version};
use super::stats::Looks;
use super::view::TaskView;
use crate::sandbox::Faults;

/// What started the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A service, which may want to stop it.
    Service,
    /// RunTask.
    RunTask,
}

/// What the endpoint knows; clones know the same.
#[derive(Debug, Clone)]
pub struct Endpoint {
    view: Arc<Mutex<TaskView>>,
    inside: Arc<Inside>,
}

#[derive(Debug)]
struct Inside {
    origin: Origin,
    limit: Limit,
    looks: Looks,
    protection: Protection,
    injection: Injection,
    credentials: Option<Source>,
}

/// A status, and JSON.
pub(super) type Answer = (u16, Value);

impl Endpoint {
    /// Tells of a task; whoever holds the view keeps it up with [`follow`](super::follow). Faults are those of
    /// the task's own network; credentials are given out under the id of the task.
    pub fn new(
        view: Arc<Mutex<TaskView>>,
        origin: Origin,
        faults: Option<Arc<Faults>>,
        credentials: Option<Source>,
    ) -> Self {
        Self {
            view,
            inside: Arc::new(Inside {
                origin,
                limit: Limit::new(PER_SECOND, BURST),
                looks: Looks::default(),
                protection: Protection::default(),
                injection: Injection::new(faults),
                credentials,
            }),
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if !self.inside.limit.take(Instant::now()) {
            return response(429, &json!("Too many requests"));
        }

        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY).collect().await else {
            return response(413, &json!("the body is too large"));
        };
        let view = self
            .view
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();

        let path = parts.uri.path();
        let (status, value) = match credentials_id(path, parts.uri.query()) {
            Some("") => credentials::nameless(),
            Some(id) => self.credentials(&view, id).await,
            None if parts.method == Method::POST => {
                // A fault is a change to the network, which takes a moment.
                let (path, body) = (path.to_owned(), body.to_bytes());
                let answer = move || self.route(&view, &Method::POST, &path, &body);
                let answer = tokio::task::spawn_blocking(answer).await;
                answer.unwrap_or_else(|error| (500, json!(error.to_string())))
            }
            None => self.route(&view, &parts.method, path, &body.to_bytes()),
        };

        response(status, &value)
    }

    async fn credentials(&self, view: &TaskView, id: &str) -> Answer {
        match &self.inside.credentials {
            None => credentials::none(),
            Some(_) if id != view.id => credentials::unknown(),
            Some(source) => source.answer().await,
        }
    }

    fn route(&self, view: &TaskView, method: &Method, path: &str, body: &[u8]) -> Answer {
        let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
        match (method, &steps[..]) {
            (&Method::GET, ["v4", id, rest @ ..]) => self.metadata(view, Version::Four, id, rest),
            (&Method::GET, ["v3", id, rest @ ..]) => self.metadata(view, Version::Early, id, rest),
            (&Method::GET, ["v2", "metadata"]) => {
                told(&Task::new(view, Version::Early, Tags::Untold))
            }
            (&Method::GET, ["v2", "stats"]) => (200, self.inside.looks.of_all(view)),
            (_, ["api", id, ..]) if view.container(id).is_none() => unknown("ECS agent API", id),
            (&Method::GET, ["api", _, "task-protection", "v1", "state"]) => {
                self.inside.protection.get(view, self.inside.origin)
            }
            (&Method::PUT, ["api", _, "task-protection", "v1", "state"]) => {
                self.inside.protection.put(view, self.inside.origin, body)
            }
            (&Method::POST, ["api", _, "fault", "v1", fault, verb]) => {
                self.inside.injection.ask(view, fault, verb, body)
            }
            _ => (404, json!(format!("there is nothing at {path}"))),
        }
    }

    fn metadata(&self, view: &TaskView, version: Version, id: &str, rest: &[&str]) -> Answer {
        let named = if version == Version::Four { "V4" } else { "V3" };
        let Some(one) = view.container(id) else {
            return unknown(&format!("{named} container metadata handler"), id);
        };

        match rest {
            [] => told(&Container::new(view, one, version)),
            ["task"] => told(&Task::new(view, version, Tags::Untold)),
            ["taskWithTags"] => told(&Task::new(view, version, Tags::Told)),
            ["stats"] => (200, self.inside.looks.of(view, one)),
            ["task", "stats"] => (200, self.inside.looks.of_all(view)),
            // Nothing that the agent associates with a container, as accelerators, is here.
            ["associations", _] => (200, json!({ "Associations": [] })),
            ["associations", _, name] => {
                let why = format!("there is no association `{name}`");
                let whole = format!("Unable to write container association response: {why}");
                (400, json!(whole))
            }
            _ => (
                404,
                json!(format!(
                    "{named} metadata handler: there is nothing at {}",
                    rest.join("/")
                )),
            ),
        }
    }
}

/// The id for which credentials are asked; an empty one where the question has none.
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

/// Answers until nobody holds the future any more.
pub async fn serve(endpoint: Endpoint, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors: a moment later there may be one.
            tokio::time::sleep(PAUSE).await;
            continue;
        };

        let endpoint = endpoint.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let endpoint = endpoint.clone();
                async move { Ok::<_, Infallible>(endpoint.answer(request).await) }
            });
            let mut server = http1::Builder::new();

            server
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE);

            // One client's error is that client's.
            let _ = server.serve_connection(TokioIo::new(stream), answer).await;
            drop(place);
        });
    }
}

fn told(shape: &impl serde::Serialize) -> Answer {
    match serde_json::to_value(shape) {
        Ok(value) => (200, value),
        Err(error) => (500, json!(error.to_string())),
    }
}

fn unknown(who: &str, id: &str) -> Answer {
    (
        404,
        json!(format!(
            "{who}: unable to find a container with the id '{id}'"
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

/// The agent's own limits.
const PER_SECOND: f64 = 40.0;
const BURST: f64 = 60.0;
const BODY: usize = 16 * 1024;
const CONNECTIONS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);
