//! The HTTP service: photos and videos in, JSON or an annotated picture out.
//!
//! ```text
//! request ─▶ whole body ─▶ slot in the queue ─▶ worker thread, memory: count ─▶ JSON or picture
//!              ▲                  │ none: 503
//!              │ picture
//!            video ─▶ thumbnail service
//! ```

mod query;
mod rejection;
mod video;
mod workers;

use std::pin::pin;
use std::sync::Arc;

use chassis::http::{
    Body, BodyLimits, BodyPool, ReceiveError, ReceivedBody, Upstream, full, json, trace_request,
};
use chassis::memory::MemoryBudget;
use chassis::{Readiness, Settings, SettingsError, Shutdown};
use http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tokio::net::TcpListener;

use crate::picture::Format;
use crate::{Config, Error};
use query::Query;
use rejection::Rejection;
use workers::Workers;

/// Serves until the shutdown, then drains for at most `limits.drain_timeout`.
///
/// The caller binds: `listen` is not used. `readiness` gets the latch `models` when this is called,
/// not when the future is first polled.
pub fn serve(
    config: Config,
    listener: TcpListener,
    shutdown: Shutdown,
    readiness: Readiness,
) -> impl Future<Output = Result<(), Error>> + Send {
    let loaded = readiness.latch("models");
    async move {
        SettingsError::from_problems(config.problems())?;
        let limits = config.limits.clone();
        let service = Arc::new(Service::new(config)?);
        loaded.release();

        let handler = move |request: Request<Body>| {
            let service = Arc::clone(&service);
            async move { service.handle(request).await }
        };
        chassis::http::serve(listener, handler, limits, shutdown).await;
        Ok(())
    }
}

struct Service {
    workers: Workers,
    bodies: BodyPool,
    /// The memory for pictures in responses, which clients may be slow to read.
    pictures: MemoryBudget,
    thumbnail: Option<Upstream>,
    config: Config,
}

impl Service {
    fn new(config: Config) -> Result<Self, SettingsError> {
        let thumbnail = config.thumbnail_service().transpose();
        let thumbnail = thumbnail.map_err(|error| {
            SettingsError::new("thumbnail", format!("is not usable: {error}"), "")
        })?;
        let limits = BodyLimits {
            timeout: config.body_timeout.duration(),
            min_bytes_per_second: config.min_body_bytes_per_second,
        };
        Ok(Self {
            workers: Workers::new(&config),
            bodies: BodyPool::new(limits, MemoryBudget::new(config.body_memory())),
            pictures: MemoryBudget::new(config.picture_memory()),
            thumbnail,
            config,
        })
    }

    async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let (name, picture) = match request.uri().path() {
            "/v1/coins" => ("/v1/coins", None),
            "/v1/coins/annotated" => ("/v1/coins/annotated", Some(Format::Jpeg)),
            "/healthz" => {
                return json(StatusCode::OK, &serde_json::json!({ "status": "ok" }));
            }
            _ => return Rejection::UnknownPath.response(),
        };

        if request.method() != Method::POST {
            let mut response = Rejection::MethodNotAllowed.response();
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("POST"));
            return response;
        }

        let handler = |request| async move {
            self.coins(request, picture)
                .await
                .unwrap_or_else(Rejection::response)
        };

        trace_request(name, request, handler).await
    }

    async fn coins(
        &self,
        request: Request<Body>,
        picture: Option<Format>,
    ) -> Result<Response<Body>, Rejection> {
        let query = Query::parse(request.uri().query().unwrap_or_default())?;
        let picture = picture_format(request.headers(), &query, picture);
        if let Some(subject) = request.headers().get("x-auth-subject") {
            // Set by auth-filter in front of this service.
            tracing::debug!(?subject, "photo of an authenticated subject");
        }

        let kind = BodyKind::from_headers(request.headers())?;
        let body = match kind {
            BodyKind::Picture => {
                let (head, body) = request.into_parts();
                self.receive(&head.extensions, body).await?
            }
            BodyKind::Video => match &self.thumbnail {
                None => return Err(Rejection::NoVideos),
                Some(upstream) => {
                    let extensions = request.extensions().clone();
                    let picture = video::picture(upstream, request, &query).await?;
                    let received = self.receive(&extensions, picture).await;
                    received.map_err(Rejection::from_thumbnail)?
                }
            },
        };

        // Not before the body is complete: connections that send nothing would take all slots.
        let slot = self.workers.acquire_slot()?;
        let (count, picture) = slot.count(body, query.currency, picture).await?;
        Ok(match picture {
            None => json(StatusCode::OK, &count),
            Some((format, bytes)) => {
                let reserved = self.pictures.try_reserve(bytes.len());
                let reserved = reserved.ok_or(Rejection::Busy)?;
                let mut response = Response::new(full(reserved.hold(bytes)));
                let media_type = HeaderValue::from_static(format.media_type());
                response.headers_mut().insert(CONTENT_TYPE, media_type);
                response
            }
        })
    }

    async fn receive(
        &self,
        extensions: &Extensions,
        body: Body,
    ) -> Result<ReceivedBody, ReceiveError> {
        let limit = self.config.max_body_bytes.min(self.bodies.client_share());
        let receiver = self.bodies.receive(extensions);
        let mut body = pin!(body);
        receiver.read_to_end(body.as_mut(), limit, |_| Ok(())).await
    }
}

/// The declared kind of a body.
#[derive(Clone, Copy)]
enum BodyKind {
    Picture,
    Video,
}

impl BodyKind {
    fn from_headers(headers: &HeaderMap) -> Result<Self, Rejection> {
        let Some(value) = headers.get(CONTENT_TYPE) else {
            return Ok(Self::Picture);
        };
        let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
        let media_type = text.split(';').next().unwrap_or_default().trim();

        match media_type {
            "image/jpeg" | "image/jpg" | "image/png" | "image/webp" => Ok(Self::Picture),
            // curl's default type, and types without information: the bytes decide.
            "application/octet-stream" | "application/x-www-form-urlencoded" | "" | "image/*" => {
                Ok(Self::Picture)
            }
            video if video.starts_with("video/") => Ok(Self::Video),
            other => Err(Rejection::Unsupported(other.to_owned())),
        }
    }
}

/// Returns the format of the requested picture, if any: by the path, `annotate=1`, or `Accept:
/// image/…`.
fn picture_format(headers: &HeaderMap, query: &Query, path: Option<Format>) -> Option<Format> {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    // Only the first media type: weights and lists are not worth a parser here.
    let first = accept.split([',', ';']).next().unwrap_or_default().trim();

    match first {
        "image/png" => Some(Format::Png),
        "image/jpeg" | "image/*" => Some(Format::Jpeg),
        _ if query.annotate => Some(Format::Jpeg),
        _ => path,
    }
}
