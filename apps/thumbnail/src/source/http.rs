//! A source on a web server, or in S3: ranges over one kept connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::spool::{Room, spool};
use super::window::{FIRST, Ranges, Window};
use super::{RangeSource, Traffic};
use crate::client::Client;
use crate::s3::Signer;
use crate::{Error, Kind};

/// What reading from afar may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    pub(crate) room: Room,
    pub(crate) deadline: Instant,
    pub(crate) redirects: Redirects,
}

/// Whether an answer may send us elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    Follow,
    Refuse,
}

/// Opens what lies at an address: asks for its first bytes, which also tells its size.
pub(crate) async fn open(
    client: Client,
    uri: Uri,
    signer: Option<Signer>,
    allowance: Allowance,
    traffic: Arc<Traffic>,
) -> Result<Box<dyn RangeSource>, Error> {
    let deadline = allowance.deadline;
    let mut remote = Remote {
        client,
        uri,
        signer,
        deadline,
        version: None,
        traffic,
    };

    let response = remote.first(allowance.redirects).await?;
    if response.status() != StatusCode::PARTIAL_CONTENT {
        // The server knows no ranges and sends all of it.
        return spool(response.into_body(), allowance.room, remote.traffic).await;
    }

    let size = total(response.headers()).ok_or_else(|| {
        Error::new(
            Kind::SourceNetwork,
            "the server does not say how long the film is",
        )
    })?;

    remote.version = strong_version(response.headers());
    let first = remote.body(response, FIRST).await?;
    let ranges = Blocking {
        remote,
        runtime: Handle::current(),
    };

    Ok(Box::new(Window::new(
        ranges,
        size,
        first,
        allowance.room.total,
    )))
}

struct Remote {
    client: Client,
    uri: Uri,
    signer: Option<Signer>,
    deadline: Instant,
    /// What the first answer was a part of: the others must be of the same.
    version: Option<http::HeaderValue>,
    traffic: Arc<Traffic>,
}

impl Remote {
    /// The first answer, after redirects: parts, or everything.
    async fn first(&mut self, redirects: Redirects) -> Result<Response<Incoming>, Error> {
        for _ in 0..=MOST_REDIRECTS {
            let response = self.range(0, FIRST).await?;
            match response.status() {
                StatusCode::PARTIAL_CONTENT | StatusCode::OK => return Ok(response),
                StatusCode::RANGE_NOT_SATISFIABLE => {
                    return Err(Error::new(Kind::Empty, "the film holds no byte"));
                }
                // What is signed for one address is not valid at another.
                status
                    if status.is_redirection()
                        && redirects == Redirects::Follow
                        && self.signer.is_none() =>
                {
                    self.uri = redirect(&self.uri, response.headers())?;
                }
                _ => return Err(refusal(&response)),
            }
        }

        Err(Error::new(
            Kind::SourceNetwork,
            "the server redirects too often",
        ))
    }

    async fn part(&mut self, offset: u64, length: u64) -> Result<Bytes, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.part_once(offset, length).await {
                // Breaking off half-way happens on long reads; asking again costs little.
                Err(error) if error.kind() == Kind::SourceNetwork && pause <= LAST_PAUSE => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
    }

    async fn part_once(&mut self, offset: u64, length: u64) -> Result<Bytes, Error> {
        let response = self.range(offset, length).await?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(refusal(&response));
        }

        if start(response.headers()) != Some(offset) {
            return Err(Error::new(
                Kind::SourceNetwork,
                "the server sent another part",
            ));
        }

        let bytes = self.body(response, length).await?;
        if bytes.is_empty() {
            return Err(Error::new(
                Kind::SourceNetwork,
                "the server sent an empty part",
            ));
        }

        Ok(bytes)
    }

    /// Asks for a range, again after failures that pass.
    async fn range(&mut self, offset: u64, length: u64) -> Result<Response<Incoming>, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            let request = self.request(offset, length).await?;
            self.traffic.add_request();
            let answer = self.client.send(&request, self.patience()?).await;
            let passes = match &answer {
                Ok(response) => passes(response.status()),
                Err(error) => error.kind() == Kind::SourceNetwork,
            };

            if !passes || pause > LAST_PAUSE {
                return answer;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn request(&mut self, offset: u64, length: u64) -> Result<Request<Bytes>, Error> {
        let last = offset + length - 1;
        let mut request = Request::get(&self.uri)
            .header(header::RANGE, format!("bytes={offset}-{last}"))
            .header(header::ACCEPT_ENCODING, "identity")
            .body(Bytes::new())
            .map_err(|error| Error::new(Kind::Usage, "the address is unusable").because(error))?;

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

    async fn body(&self, response: Response<Incoming>, length: u64) -> Result<Bytes, Error> {
        let body = Limited::new(response.into_body(), length as usize);
        let broke_off = || Error::new(Kind::SourceNetwork, "the server broke off");
        let collected = timeout(self.patience()?, body.collect())
            .await
            .map_err(|_| broke_off().because("it took too long"))?
            .map_err(|error| broke_off().because(error))?;
        let bytes = collected.to_bytes();
        self.traffic.add_bytes(bytes.len() as u64);
        Ok(bytes)
    }

    /// How long the next step may take.
    fn patience(&self) -> Result<Duration, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(
                Kind::Timeout,
                "the film could not be read in time",
            ));
        }
        Ok(left.min(PATIENCE))
    }
}

/// Ranges for the thread that decodes, which may wait.
struct Blocking {
    remote: Remote,
    runtime: Handle,
}

impl Ranges for Blocking {
    fn fetch(&mut self, offset: u64, length: u64) -> Result<Bytes, Error> {
        self.runtime.block_on(self.remote.part(offset, length))
    }
}

/// Where a redirect leads: not from a sealed letter to a postcard.
fn redirect(from: &Uri, headers: &HeaderMap) -> Result<Uri, Error> {
    let wrong = || Error::new(Kind::SourceNetwork, "the server redirects to nowhere");
    let target = headers
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok());
    let target: Uri = target.ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
    let mut parts = target.into_parts();

    parts.scheme = parts.scheme.or_else(|| from.scheme().cloned());
    parts.authority = parts.authority.or_else(|| from.authority().cloned());
    parts
        .path_and_query
        .get_or_insert(http::uri::PathAndQuery::from_static("/"));

    let to = Uri::from_parts(parts).map_err(|_| wrong())?;
    match (from.scheme_str(), to.scheme_str()) {
        (_, Some("https")) | (Some("http"), Some("http")) => Ok(to),
        _ => Err(Error::new(
            Kind::SourceDenied,
            "the server redirects from https to less",
        )),
    }
}

/// An answer that is no film, in our classes.
pub(crate) fn refusal<B>(response: &Response<B>) -> Error {
    let status = response.status();
    let message = format!("the server answered {status}");
    let error = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => Error::new(Kind::SourceNotFound, message),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::new(Kind::SourceDenied, message),
        StatusCode::PRECONDITION_FAILED => Error::new(
            Kind::SourceNetwork,
            "the film changed while it was read; try again",
        ),
        _ => Error::new(Kind::SourceNetwork, message),
    };

    match response
        .headers()
        .get("x-amz-bucket-region")
        .and_then(|region| region.to_str().ok())
    {
        Some(region) if status.is_redirection() || status == StatusCode::BAD_REQUEST => {
            error.because(format!("the bucket is in `{region}`; set AWS_REGION"))
        }
        _ => error,
    }
}

/// Whether asking again may give another answer.
pub(crate) fn passes(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// `bytes 0-65535/1073741824`: the number after the slash.
fn total(headers: &HeaderMap) -> Option<u64> {
    let (_, total) = content_range(headers)?.split_once('/')?;
    total.trim().parse().ok()
}

/// `bytes 0-65535/1073741824`: the number before the dash.
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

/// A weak version cannot be asked for: servers answer that it never matches.
fn strong_version(headers: &HeaderMap) -> Option<http::HeaderValue> {
    headers
        .get(header::ETAG)
        .filter(|tag| !tag.as_bytes().starts_with(b"W/"))
        .cloned()
}

const MOST_REDIRECTS: usize = 5;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// After a pause of this length nothing is asked again: 100, 200 and 400 ms are waited.
pub(crate) const LAST_PAUSE: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    fn location(to: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::LOCATION, to.parse().unwrap())])
    }

    #[test]
    fn a_redirect_may_be_relative_and_may_not_lose_its_seal() {
        let from = Uri::from_static("https://a.example/film");
        assert_eq!(
            redirect(&from, &location("/b?c")).unwrap(),
            "https://a.example/b?c"
        );
        assert_eq!(
            redirect(&from, &location("https://b.example/")).unwrap(),
            "https://b.example/"
        );
        let error = redirect(&from, &location("http://a.example/film")).unwrap_err();
        assert_eq!(error.kind(), Kind::SourceDenied);
    }

    #[test]
    fn content_ranges_are_read() {
        let headers = HeaderMap::from_iter([(
            header::CONTENT_RANGE,
            "bytes 10-19/4294967297".parse().unwrap(),
        )]);
        assert_eq!(total(&headers), Some(4_294_967_297));
        assert_eq!(start(&headers), Some(10));
    }
}
