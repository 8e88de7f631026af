//! The upload of one blob: HEAD, POST, PUT, repeated from the start when something fails.
//!
//! The content goes into the one PUT that ends the upload. Uploads in parts (PATCH) are not used: Amazon ECR answers
//! PATCH with 201 and an outdated `Range` (aws/containers-roadmap#2831).

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::Progress;
use super::body::{FileBody, SentBytes};
use super::source::FileBlob;
use crate::call::Call;
use crate::error::ErrorKind;
use crate::session::{Session, is_retryable};
use crate::transport::{Body, Response};

/// How a blob came into the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlobOutcome {
    /// It was there.
    Present,
    /// From another repository of the registry.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// The failure of one attempt.
enum Failure {
    /// Another attempt would fail as well.
    Final(ErrorKind),
    /// Another attempt may succeed, after the requested wait.
    Temporary(ErrorKind, Option<Duration>),
    /// The token expired during the upload and was renewed.
    Renewed,
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Interrupted { .. }
            | ErrorKind::Stalled { .. }
            | ErrorKind::Timeout { .. }
            | ErrorKind::Connect { .. } => Self::Temporary(kind, None),
            kind => Self::Final(kind),
        }
    }
}

impl Session {
    /// Uploads a blob, unless the repository has it or can mount it.
    pub(super) async fn push_blob(
        &self,
        blob: &FileBlob,
        mount: Option<&str>,
        progress: &Arc<Progress>,
    ) -> Result<BlobOutcome, ErrorKind> {
        let (mut attempt, mut renewals) = (0, 0);
        loop {
            let sent = SentBytes::new(progress);
            let failure = match self.attempt(blob, mount, &sent).await {
                Ok(outcome) => {
                    if outcome != BlobOutcome::Uploaded {
                        progress.add(blob.size);
                    }
                    return Ok(outcome);
                }
                Err(failure) => failure,
            };
            sent.revert();

            match failure {
                Failure::Final(kind) => return Err(kind),
                Failure::Renewed if renewals < MAX_RENEWALS => renewals += 1,
                Failure::Renewed => return Err(self.login_error().await),
                Failure::Temporary(kind, requested) => {
                    let Some(wait) = self.retry_wait(attempt, requested) else {
                        return Err(kind);
                    };
                    attempt += 1;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Makes one attempt, from the look whether the blob exists: the response to a successful PUT may have been lost.
    async fn attempt(
        &self,
        blob: &FileBlob,
        mount: Option<&str>,
        sent: &Arc<SentBytes>,
    ) -> Result<BlobOutcome, Failure> {
        let url = self.url(&format!("blobs/{}", blob.digest));
        let response = self.call(&Call::new(Method::HEAD, url)).await?;
        match response.status {
            StatusCode::OK => return Ok(BlobOutcome::Present),
            StatusCode::NOT_FOUND => {}
            _ => return Err(self.push_error(&response, 0).await.into()),
        }

        let verified = blob.clone();
        let verification = tokio::task::spawn_blocking(move || verified.verify());
        // The task is never cancelled, and a panic ends here as an error of the file.
        let verification = verification.await;
        verification.map_err(|error| blob.unreadable(std::io::Error::other(error)))??;

        let Some(location) = self.start(blob, mount).await? else {
            return Ok(BlobOutcome::Mounted);
        };
        self.finish(blob, &location, sent).await?;

        Ok(BlobOutcome::Uploaded)
    }

    /// Starts an upload and returns its URL; `None` if the blob was mounted instead.
    async fn start(&self, blob: &FileBlob, mount: Option<&str>) -> Result<Option<String>, Failure> {
        let mut url = self.url("blobs/uploads/");
        if let Some(from) = mount {
            let from = utf8_percent_encode(from, NON_ALPHANUMERIC);
            url = format!("{url}?mount={}&from={from}", blob.digest);
        }

        let call = Call::new(Method::POST, url.clone()).with(CONTENT_LENGTH, "0");
        let response = self.call(&call).await?;
        match response.status {
            StatusCode::CREATED if mount.is_some() => return Ok(None),
            // Also the answer to a mount that the registry does not support, and then the upload goes on: Amazon ECR
            // mounts only with the account setting BLOB_MOUNTING.
            StatusCode::ACCEPTED => {}
            _ => return Err(self.push_error(&response, blob.size).await.into()),
        }

        match response.header("location") {
            Some(location) => Ok(Some(self.resolve_location(&url, location)?)),
            None => Err(Failure::Final(
                self.invalid_response("an upload without a `Location`"),
            )),
        }
    }

    /// Sends the content to the URL of the upload, and checks what the registry received.
    async fn finish(
        &self,
        blob: &FileBlob,
        location: &str,
        sent: &Arc<SentBytes>,
    ) -> Result<(), Failure> {
        let body = FileBody::open(&blob.path, blob.size, sent.clone())
            .map_err(|error| blob.unreadable(error))?;
        let mark = if location.contains('?') { '&' } else { '?' };
        let digest = utf8_percent_encode(blob.digest.as_str(), NON_ALPHANUMERIC);
        let call = Call::new(Method::PUT, format!("{location}{mark}digest={digest}"))
            .with(CONTENT_TYPE, "application/octet-stream")
            .with(CONTENT_LENGTH, &blob.size.to_string());

        let response = self.upload(&call, Body::new(body), || sent.count()).await?;
        match response.status {
            StatusCode::CREATED => self
                .check_digest(&response, &blob.digest)
                .map_err(Failure::Final),
            StatusCode::UNAUTHORIZED => Err(Failure::Renewed),
            status if is_retryable(status) => {
                let (kind, wait) = self.busy(&response);
                Err(Failure::Temporary(kind, wait))
            }
            // The registry forgot the upload, for example since another of its servers got this request.
            StatusCode::NOT_FOUND => Err(Failure::Temporary(self.status(&response), None)),
            _ => Err(self.push_error(&response, blob.size).await.into()),
        }
    }

    /// Returns the absolute URL of a `Location`, which may be relative (RFC 9110, section 10.2.2).
    pub(crate) fn resolve_location(&self, base: &str, location: &str) -> Result<String, ErrorKind> {
        let base: Uri = self.parse_url(base)?;
        let scheme = base.scheme_str().unwrap_or("https");
        let authority = base.authority().map_or("", |authority| authority.as_str());

        let url = if let Some(rest) = location.strip_prefix("//") {
            format!("{scheme}://{rest}")
        } else if location.starts_with('/') {
            // Before the next case: the query of a path may contain a URL.
            format!("{scheme}://{authority}{location}")
        } else if location.contains("://") {
            location.to_owned()
        } else {
            let folder = base
                .path()
                .rsplit_once('/')
                .map_or("", |(folder, _)| folder);
            format!("{scheme}://{authority}{folder}/{location}")
        };
        // A fragment is not part of a request.
        let url = url.split('#').next().unwrap_or_default();

        // Checked here, so that the error names the host.
        self.parse_url(url)?;
        Ok(url.to_owned())
    }

    /// Converts an unexpected response to a write into an error; `bytes` is the size of the upload.
    pub(super) async fn push_error(&self, response: &Response, bytes: u64) -> ErrorKind {
        let is_html = response
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"));
        let host = self.host();
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.login_error().await,
            // Before the page of a proxy: its limit is what to change.
            StatusCode::PAYLOAD_TOO_LARGE => ErrorKind::UploadTooLarge { host, bytes },
            status if is_html => {
                let status = status.as_u16();
                self.invalid_response(&format!("HTTP {status} with an HTML page"))
            }
            StatusCode::NOT_FOUND => ErrorKind::NoRepository {
                host,
                repository: self.reference().repository().to_owned(),
                message: crate::session::error_message(response),
            },
            status if status.is_success() => {
                let status = status.as_u16();
                self.invalid_response(&format!("HTTP {status} to an upload"))
            }
            _ => self.status(response),
        }
    }
}

/// A token that expires this often during one blob is valid for less time than the upload takes.
const MAX_RENEWALS: u32 = 3;
