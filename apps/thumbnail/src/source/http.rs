//! A source on a web server or in S3, read in ranges over a persistent connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chassis::http::client::Client;
use chassis::http::{Body, read_limited};
use http::{Extensions, HeaderMap, Request, Response, StatusCode, Uri, header};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::spool::{SpoolBudget, spool};
use super::window::{FIRST_REQUEST, RangeFetcher, Window};
use super::{RangeSource, Traffic};
use crate::client::send;
use crate::s3::Signer;
use crate::{Error, ErrorKind};

/// The limits and options of a remote source.
#[derive(Debug, Clone)]
pub(crate) struct FetchOptions {
    pub(crate) budget: SpoolBudget,
    pub(crate) deadline: Instant,
    pub(crate) redirects: Redirects,
}

/// Whether to follow redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    Follow,
    Refuse,
}

/// Opens the source at a URL by requesting its first bytes; the response also contains its size.
pub(crate) async fn open(
    client: Client,
    uri: Uri,
    signer: Option<Signer>,
    options: FetchOptions,
    traffic: Arc<Traffic>,
) -> Result<Box<dyn RangeSource>, Error> {
    let deadline = options.deadline;
    let mut remote = RemoteFile {
        client,
        uri,
        signer,
        deadline,
        version: None,
        traffic,
    };

    let response = remote.first(options.redirects).await?;
    if response.status() != StatusCode::PARTIAL_CONTENT {
        // The server does not support ranges and sends the whole file.
        let extensions = Extensions::new();
        let spooling = spool(
            response.into_body(),
            &extensions,
            &options.budget,
            remote.traffic,
        );
        return Ok(spooling.await?);
    }

    let size = total(response.headers()).ok_or_else(|| {
        Error::new(
            ErrorKind::SourceNetwork,
            "the server did not return the size of the video",
        )
    })?;

    remote.version = strong_version(response.headers());
    let first = remote.body(response, FIRST_REQUEST).await?;
    let ranges = BlockingFetcher {
        remote,
        runtime: Handle::current(),
    };

    Ok(Box::new(Window::new(
        ranges,
        size,
        first,
        options.budget.max_bytes,
    )))
}

struct RemoteFile {
    client: Client,
    uri: Uri,
    signer: Option<Signer>,
    deadline: Instant,
    /// The entity tag of the first response; later ones must match it.
    version: Option<http::HeaderValue>,
    traffic: Arc<Traffic>,
}

impl RemoteFile {
    /// Returns the first response after redirects: a range or the whole file.
    async fn first(&mut self, redirects: Redirects) -> Result<Response<Body>, Error> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.range(0, FIRST_REQUEST).await?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT | StatusCode::OK => return Ok(response),
                StatusCode::RANGE_NOT_SATISFIABLE => {
                    return Err(Error::new(ErrorKind::Empty, "the video is empty"));
                }
                // A signature is valid for one URL only, so redirects of signed requests are errors.
                status
                    if status.is_redirection()
                        && redirects == Redirects::Follow
                        && self.signer.is_none() =>
                {
                    self.uri = redirect(&self.uri, response.headers())?;
                }
                _ => return Err(response_error(&response)),
            }
        }

        Err(Error::new(ErrorKind::SourceNetwork, "too many redirects"))
    }

    async fn fetch_range(&mut self, offset: u64, length: u64) -> Result<Bytes, Error> {
        let mut backoff = INITIAL_BACKOFF;
        loop {
            match self.fetch_range_once(offset, length).await {
                // Long reads may lose their connection; a range is cheap to request again.
                Err(error)
                    if error.kind() == ErrorKind::SourceNetwork && backoff <= MAX_BACKOFF =>
                {
                    tokio::time::sleep(backoff).await;
                    backoff *= 2;
                }
                other => return other,
            }
        }
    }

    async fn fetch_range_once(&mut self, offset: u64, length: u64) -> Result<Bytes, Error> {
        let response = self.range(offset, length).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(response_error(&response));
        }

        if start(response.headers()) != Some(offset) {
            return Err(Error::new(
                ErrorKind::SourceNetwork,
                "the server sent a different range",
            ));
        }

        let bytes = self.body(response, length).await?;
        if bytes.is_empty() {
            return Err(Error::new(
                ErrorKind::SourceNetwork,
                "the server sent an empty range",
            ));
        }

        Ok(bytes)
    }

    /// Requests a range; retries after transient errors.
    async fn range(&mut self, offset: u64, length: u64) -> Result<Response<Body>, Error> {
        let mut backoff = INITIAL_BACKOFF;
        loop {
            let request = self.request(offset, length).await?;
            self.traffic.add_request();
            let response = send(&self.client, request, self.step_timeout()?).await;
            let is_retryable = match &response {
                Ok(response) => is_retryable(response.status()),
                Err(error) => error.kind() == ErrorKind::SourceNetwork,
            };

            if !is_retryable || backoff > MAX_BACKOFF {
                return response;
            }
            tokio::time::sleep(backoff).await;
            backoff *= 2;
        }
    }

    async fn request(&mut self, offset: u64, length: u64) -> Result<Request<Bytes>, Error> {
        let last = offset + length - 1;
        // `identity`, since a compressed representation would have other offsets.
        let mut request = Request::get(&self.uri)
            .header(header::RANGE, format!("bytes={offset}-{last}"))
            .header(header::ACCEPT_ENCODING, "identity")
            .body(Bytes::new())
            .map_err(|error| Error::new(ErrorKind::Usage, "invalid URL").with_source(error))?;

        if let Some(version) = &self.version {
            request
                .headers_mut()
                .insert(header::IF_MATCH, version.clone());
        }

        if let Some(signer) = &self.signer {
            signer.sign(&mut request).await?;
        }
        Ok(request)
    }

    async fn body(&self, response: Response<Body>, length: u64) -> Result<Bytes, Error> {
        let interrupted = || {
            Error::new(
                ErrorKind::SourceNetwork,
                "the server closed the connection early",
            )
        };
        let bytes = timeout(
            self.step_timeout()?,
            read_limited(response.into_body(), length as usize),
        )
        .await
        .map_err(|_| interrupted().with_source("timed out"))?
        .map_err(|error| interrupted().with_source(error))?;
        self.traffic.add_bytes(bytes.len() as u64);
        Ok(bytes)
    }

    /// Returns the timeout of the next step: the rest until the deadline, up to a maximum.
    fn step_timeout(&self) -> Result<Duration, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(
                ErrorKind::Timeout,
                "timed out reading the video",
            ));
        }
        Ok(left.min(REQUEST_TIMEOUT))
    }
}

/// Fetches ranges for the decoding thread, which may block.
struct BlockingFetcher {
    remote: RemoteFile,
    runtime: Handle,
}

impl RangeFetcher for BlockingFetcher {
    fn fetch(&mut self, offset: u64, length: u64) -> Result<Bytes, Error> {
        self.runtime
            .block_on(self.remote.fetch_range(offset, length))
    }
}

/// Resolves the target of a redirect; a redirect from https to http is an error.
fn redirect(from: &Uri, headers: &HeaderMap) -> Result<Uri, Error> {
    let invalid = || {
        Error::new(
            ErrorKind::SourceNetwork,
            "the redirect has no valid `Location`",
        )
    };
    let target = headers
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok());
    let target: Uri = target.ok_or_else(invalid)?.parse().map_err(|_| invalid())?;
    let mut parts = target.into_parts();

    parts.scheme = parts.scheme.or_else(|| from.scheme().cloned());
    parts.authority = parts.authority.or_else(|| from.authority().cloned());
    parts
        .path_and_query
        .get_or_insert(http::uri::PathAndQuery::from_static("/"));

    let to = Uri::from_parts(parts).map_err(|_| invalid())?;
    match (from.scheme_str(), to.scheme_str()) {
        (_, Some("https")) | (Some("http"), Some("http")) => Ok(to),
        _ => Err(Error::new(
            ErrorKind::SourceDenied,
            "the server redirects from https to http",
        )),
    }
}

/// Converts an unsuccessful response to an error.
pub(crate) fn response_error<B>(response: &Response<B>) -> Error {
    let status = response.status();
    let message = format!("the server returned {status}");
    let error = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Error::new(ErrorKind::SourceNotFound, message),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Error::new(ErrorKind::SourceDenied, message)
        }
        StatusCode::PRECONDITION_FAILED => Error::new(
            ErrorKind::SourceNetwork,
            "the video changed while it was being read; try again",
        ),
        _ => Error::new(ErrorKind::SourceNetwork, message),
    };

    match response
        .headers()
        .get("x-amz-bucket-region")
        .and_then(|region| region.to_str().ok())
    {
        // S3 returns 301 or 400 for a bucket in another region, and the region in this header.
        Some(region) if status.is_redirection() || status == StatusCode::BAD_REQUEST => {
            error.with_source(format!("the bucket is in `{region}`; set AWS_REGION"))
        }
        _ => error,
    }
}

/// Returns whether a request may succeed on a retry.
pub(crate) fn is_retryable(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// Returns the total size in `Content-Range`, such as `bytes 0-65535/1073741824`.
fn total(headers: &HeaderMap) -> Option<u64> {
    let (_, total) = content_range(headers)?.split_once('/')?;
    total.trim().parse().ok()
}

/// Returns the start in `Content-Range`, such as `bytes 0-65535/1073741824`.
fn start(headers: &HeaderMap) -> Option<u64> {
    let (start, _) = content_range(headers)?.split_once('-')?;
    start.trim().parse().ok()
}

fn content_range(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::CONTENT_RANGE)?
        .to_str()
        .ok()?
        .strip_prefix("bytes ")
}

/// Returns a strong `ETag`; `If-Match` never matches a weak one (RFC 9110, section 13.1.1).
fn strong_version(headers: &HeaderMap) -> Option<http::HeaderValue> {
    headers
        .get(header::ETAG)
        .filter(|tag| !tag.as_bytes().starts_with(b"W/"))
        .cloned()
}

const MAX_REDIRECTS: usize = 5;
/// The timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);
/// The last backoff before giving up: the client waits 100, 200 and 400 ms.
pub(crate) const MAX_BACKOFF: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    fn location(to: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::LOCATION, to.parse().unwrap())])
    }

    #[test]
    fn resolves_relative_redirects_and_rejects_https_to_http() {
        let from = Uri::from_static("https://a.example/video");
        assert_eq!(
            redirect(&from, &location("/b?c")).unwrap(),
            "https://a.example/b?c"
        );
        assert_eq!(
            redirect(&from, &location("https://b.example/")).unwrap(),
            "https://b.example/"
        );
        let error = redirect(&from, &location("http://a.example/video")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceDenied);
    }

    #[test]
    fn parses_content_ranges() {
        let headers = HeaderMap::from_iter([(
            header::CONTENT_RANGE,
            "bytes 10-19/4294967297".parse().unwrap(),
        )]);
        assert_eq!(total(&headers), Some(4_294_967_297));
        assert_eq!(start(&headers), Some(10));
    }
}
