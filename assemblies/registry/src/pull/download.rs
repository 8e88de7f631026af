//! Downloads one blob, and continues where an interrupted download stopped.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, RANGE};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{Counter, PullErrorKind, PullLimits};
use crate::client::{Client, INITIAL_RETRY_WAIT, MAX_REDIRECTS, Resolution, retry_after};
use crate::digest::{Digest, Hasher};
use crate::error::ErrorKind;
use crate::layout::LayoutError;
use crate::reference::Reference;
use crate::store::Store;
use crate::transport::{self, Response as ReadResponse};

/// The download of one blob.
pub(super) struct Download {
    pub(super) client: Client,
    pub(super) reference: Reference,
    pub(super) store: Store,
    pub(super) limits: PullLimits,
    pub(super) counter: Arc<Counter>,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Download {
    pub(super) async fn run(self) -> Result<(), PullErrorKind> {
        if self.store.has(&self.digest, self.size) {
            self.counter.add(self.size);
            return Ok(());
        }

        let limit = self.limits.blob_timeout;
        let host = self.reference.registry().to_owned();
        let result = timeout(limit, self.download()).await;
        result.unwrap_or(Err(ErrorKind::Timeout { host, limit }.into()))
    }

    async fn download(&self) -> Result<(), PullErrorKind> {
        let mut partial = Partial::open(&self.store, &self.digest, self.size)?;
        self.counter.add(partial.length);
        let mut resolution = Resolution {
            client: &self.client,
            reference: self.reference.clone(),
            authorization: None,
        };

        let mut retries = 0;
        while partial.length < self.size {
            let before = partial.length;
            let Err(error) = self.receive(&mut resolution, &mut partial).await else {
                continue;
            };
            if partial.length > before {
                // Some bytes arrived, so the registry works.
                retries = 0;
            }

            let PullErrorKind::Registry(kind) = &error else {
                return Err(error);
            };
            let Some(wait) = retry_wait(kind, retries) else {
                return Err(error);
            };
            if retries >= self.limits.max_retries || wait > self.client.limits.max_retry_wait {
                return Err(error);
            }
            retries += 1;
            tokio::time::sleep(wait).await;
        }

        self.finish(partial)
    }

    /// Receives bytes until the blob is complete or the connection ends.
    async fn receive(
        &self,
        resolution: &mut Resolution<'_>,
        partial: &mut Partial,
    ) -> Result<(), PullErrorKind> {
        let host = resolution.host();
        let response = self.open(resolution, partial.length).await?;
        let status = response.status();
        let continues =
            status == StatusCode::PARTIAL_CONTENT && starts_at(&response, partial.length);
        if !continues {
            // The registry ignores `Range`: everything comes again.
            partial.restart()?;
        }
        if status != StatusCode::OK && !continues {
            return Err(ErrorKind::Interrupted {
                host,
                cause: "the registry cannot continue a download".to_owned(),
            }
            .into());
        }

        let mut body = response.into_body();
        let idle = self.client.limits.request_timeout;
        loop {
            let timeout_error = ErrorKind::Timeout {
                host: host.clone(),
                limit: idle,
            };
            let frame = timeout(idle, body.frame())
                .await
                .map_err(|_| timeout_error)?;
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|error| transport::interrupted_error(&host, &error))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if data.len() as u64 > self.size - partial.length {
                return Err(self.size_mismatch(host));
            }
            partial.write(&data)?;
            self.counter.add(data.len() as u64);
        }

        if partial.length == self.size {
            return Ok(());
        }
        Err(ErrorKind::Interrupted {
            host,
            cause: "the connection ended early".to_owned(),
        }
        .into())
    }

    /// Requests the blob from an offset on; authenticates and follows redirects.
    async fn open(
        &self,
        resolution: &mut Resolution<'_>,
        offset: u64,
    ) -> Result<Response<Incoming>, PullErrorKind> {
        let mut url = resolution.url(&format!("blobs/{}", self.digest));
        let mut authorization = resolution.authorization.clone();
        let mut login = None;
        let mut asked = false;

        for _ in 0..=MAX_REDIRECTS + 1 {
            let mut request = Request::get(resolution.parse_url(&url)?);
            if let Some(authorization) = authorization.take() {
                request = request.header(AUTHORIZATION, authorization);
            }
            if offset > 0 {
                request = request.header(RANGE, format!("bytes={offset}-"));
            }
            let request = request.body(Full::new(Bytes::new()));
            let request =
                request.map_err(|error| resolution.invalid_response(&error.to_string()))?;
            let response = self.client.transport.open(request).await?;

            match response.status() {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Ok(response),
                // The state of the partial file and that of the registry differ; the next request is for everything.
                StatusCode::RANGE_NOT_SATISFIABLE if offset > 0 => return Ok(response),
                // Also in the middle of a pull: tokens are valid for minutes.
                StatusCode::UNAUTHORIZED if !asked => {
                    asked = true;
                    let response = read(response).await;
                    login = self.client.credentials.login(&self.reference).await?;
                    let token = resolution.authorize(&response, login.as_ref()).await?;
                    resolution.authorization.clone_from(&token);
                    authorization = token;
                }
                status if status.is_redirection() => {
                    let location = response.headers().get("location");
                    let Some(location) = location.and_then(|text| text.to_str().ok()) else {
                        break;
                    };
                    // Storage URLs are presigned, and their hosts must not see the credentials.
                    url = absolute(&url, location);
                }
                _ => {
                    let response = read(response).await;
                    let response = resolution.check_status(response, login.as_ref())?;
                    return Err(Self::status_error(resolution, &response).into());
                }
            }
        }

        Err(resolution
            .invalid_response("more redirects than allowed")
            .into())
    }

    /// Converts the statuses of a busy or failing registry to errors.
    fn status_error(resolution: &Resolution<'_>, response: &ReadResponse) -> ErrorKind {
        if response.status == StatusCode::TOO_MANY_REQUESTS {
            return ErrorKind::RateLimited {
                host: resolution.host(),
                wait: response.header("retry-after").and_then(retry_after),
            };
        }
        resolution.status(response)
    }

    fn size_mismatch(&self, host: String) -> PullErrorKind {
        PullErrorKind::SizeMismatch {
            host,
            digest: self.digest.clone(),
            expected: self.size,
        }
    }

    /// Verifies the digest and moves the file to its place.
    fn finish(&self, partial: Partial) -> Result<(), PullErrorKind> {
        let actual = partial.hasher.clone().finish();
        if actual != self.digest {
            // A kept file would make every later attempt fail too.
            let _ = std::fs::remove_file(&partial.path);
            return Err(ErrorKind::DigestMismatch {
                host: self.reference.registry().to_owned(),
                expected: self.digest.to_string(),
                actual,
            }
            .into());
        }
        let finished = self.store.finish_blob(Ok(()), &partial.path, &self.digest);
        // Another process may have finished the same file between its opening and its locking here.
        if finished.is_err() && self.store.has(&self.digest, self.size) {
            return Ok(());
        }
        Ok(finished?)
    }
}

/// The received part of a blob.
struct Partial {
    file: File,
    path: PathBuf,
    length: u64,
    hasher: Hasher,
}

impl Partial {
    /// Opens what an earlier download left, or an empty file.
    fn open(store: &Store, digest: &Digest, size: u64) -> Result<Self, PullErrorKind> {
        let shared = store.partial(digest);
        let mut options = File::options();
        options.read(true).append(true).create(true);
        let file = options
            .open(&shared)
            .map_err(|error| write_error(&shared, error))?;

        // Another process downloads the same blob: this one does so on its own.
        let (path, file) = match file.try_lock() {
            Ok(()) => (shared, file),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {
                let path = store.unique_partial(digest);
                let file = options
                    .open(&path)
                    .map_err(|error| write_error(&path, error))?;
                (path, file)
            }
        };

        let mut partial = Self {
            file,
            path,
            length: 0,
            hasher: Hasher::default(),
        };
        partial.read_existing()?;
        if partial.length > size {
            partial.restart()?;
        }
        Ok(partial)
    }

    fn read_existing(&mut self) -> Result<(), PullErrorKind> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = self.file.read(&mut buffer);
            let count = count.map_err(|error| write_error(&self.path, error))?;
            if count == 0 {
                return Ok(());
            }
            self.hasher.update(&buffer[..count]);
            self.length += count as u64;
        }
    }

    fn restart(&mut self) -> Result<(), PullErrorKind> {
        let cut = self.file.set_len(0);
        cut.map_err(|error| write_error(&self.path, error))?;
        self.length = 0;
        self.hasher = Hasher::default();
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), PullErrorKind> {
        let written = self.file.write_all(data);
        written.map_err(|error| write_error(&self.path, error))?;
        self.hasher.update(data);
        self.length += data.len() as u64;
        Ok(())
    }
}

fn write_error(path: &std::path::Path, source: io::Error) -> PullErrorKind {
    LayoutError::File {
        action: "write",
        path: path.to_owned(),
        source,
    }
    .into()
}

/// Returns how long to wait before a retry, or `None` for an error that does not go away.
fn retry_wait(kind: &ErrorKind, attempt: u32) -> Option<std::time::Duration> {
    let wait = INITIAL_RETRY_WAIT * 2_u32.pow(attempt.min(6));
    match kind {
        ErrorKind::RateLimited {
            wait: requested, ..
        } => Some(requested.unwrap_or(wait)),
        ErrorKind::Status { status, .. } => (*status >= 500).then_some(wait),
        ErrorKind::Interrupted { .. } | ErrorKind::Timeout { .. } | ErrorKind::Connect { .. } => {
            Some(wait)
        }
        _ => None,
    }
}

/// Returns whether a partial response begins at an offset (RFC 9110, section 14.4).
fn starts_at(response: &Response<Incoming>, offset: u64) -> bool {
    let range = response.headers().get("content-range");
    let range = range.and_then(|text| text.to_str().ok()?.strip_prefix("bytes "));
    range.is_some_and(|range| range.starts_with(&format!("{offset}-")))
}

/// Resolves a `Location` that is only a path.
fn absolute(url: &str, location: &str) -> String {
    let origin = url
        .match_indices('/')
        .nth(2)
        .map_or(url, |(end, _)| &url[..end]);
    if location.starts_with('/') {
        format!("{origin}{location}")
    } else {
        location.to_owned()
    }
}

/// Reads the body of an error, of which only the start matters.
async fn read(response: Response<Incoming>) -> ReadResponse {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, 64 * 1024).collect();
    let body = timeout(std::time::Duration::from_secs(10), body).await;
    ReadResponse {
        status: parts.status,
        headers: parts.headers,
        body: match body {
            Ok(Ok(body)) => body.to_bytes(),
            _ => Bytes::new(),
        },
    }
}
