//! The requests to one repository, which share a token.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, LOCATION, RANGE};
use http::{Method, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::call::Call;
use crate::client::{Client, Limits};
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::manifest;
use crate::reference::Reference;
use crate::transport::{Body, Response};

mod retry;

pub(crate) use retry::is_retryable;

/// What a session may do in its repository; the scope of its token.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Read, with the scope that the registry asks for.
    Pull,
    /// Read and write, and read the repositories that blobs are mounted from.
    Push { mount_from: Vec<String> },
    /// Read and delete.
    Delete,
}

/// The requests to one repository.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    reference: Reference,
    pub(crate) access: Access,
    authorization: Mutex<Authorization>,
}

/// The current `Authorization` header.
#[derive(Clone, Debug, Default)]
struct Authorization {
    header: Option<String>,
    /// The number of logins so far: a request that was refused with an older header need not log in again.
    generation: u64,
    /// The user, for error messages.
    user: Option<String>,
}

impl Session {
    /// Creates a session; sends nothing yet.
    pub(crate) fn new(client: Client, reference: Reference, access: Access) -> Self {
        Self {
            client,
            reference,
            access,
            authorization: Mutex::default(),
        }
    }

    /// Returns the reference.
    pub(crate) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Returns the limits of the client.
    pub(crate) fn limits(&self) -> Limits {
        self.client.limits
    }

    /// Returns the URL of a path in the repository.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.reference.is_local() {
            "http"
        } else {
            "https"
        };
        let (host, repository) = (self.reference.host(), self.reference.repository());
        format!("{scheme}://{host}/v2/{repository}/{path}")
    }

    /// Reads a document or a small blob.
    pub(crate) async fn fetch(&self, path: &str, accept: &str) -> Result<Response, ErrorKind> {
        let call = Call::new(Method::GET, self.url(path)).with(ACCEPT, accept);
        let response = self.call(&call).await?;
        let response = self.check_status(response).await?;

        // A manifest behind a redirect would not be authenticated by the registry's certificate.
        if response.status.is_redirection() && path.starts_with("blobs/") {
            return self.follow_redirects(response, call.url, accept).await;
        }
        if response.status != StatusCode::OK {
            return Err(self.status(&response));
        }

        Ok(response)
    }

    /// Reads a manifest by tag or digest; `None` if it does not exist.
    pub(crate) async fn read_manifest(&self, name: &str) -> Result<Option<Response>, ErrorKind> {
        let url = self.url(&format!("manifests/{name}"));
        let call = Call::new(Method::GET, url).with(ACCEPT, manifest::ACCEPT);
        let response = self.call(&call).await?;
        match response.status {
            StatusCode::OK => Ok(Some(response)),
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::FORBIDDEN => Err(self.login_error().await),
            _ => Err(self.status(&response)),
        }
    }

    /// Sends a request, logs in if the registry requires it, and sends it again.
    pub(crate) async fn call(&self, call: &Call) -> Result<Response, ErrorKind> {
        let current = self.authorization.lock().await.clone();
        let response = self.send(call, current.header.as_deref()).await?;
        if response.status != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }

        let header = self.renew(current.generation, &response).await?;
        let response = self.send(call, header.as_deref()).await?;
        if response.status == StatusCode::UNAUTHORIZED {
            return Err(self.login_error().await);
        }

        Ok(response)
    }

    /// Sends a request with a large body once; `sent` returns the number of bytes that were sent so far.
    ///
    /// A response with the status 401 has renewed the token, and the request can be sent again.
    pub(crate) async fn upload(
        &self,
        call: &Call,
        body: Body,
        sent: impl Fn() -> u64,
    ) -> Result<Response, ErrorKind> {
        let current = self.authorization.lock().await.clone();
        let url = self.parse_url(&call.url)?;
        let header = current.header.filter(|_| self.is_registry(&url));
        let request = call.build(url, header.as_deref());
        let request = request.map_err(|error| self.invalid_response(&error.to_string()))?;

        let request = request.map(|()| body);
        let response = self.client.transport.upload(request, sent).await?;
        if response.status == StatusCode::UNAUTHORIZED {
            self.renew(current.generation, &response).await?;
        }

        Ok(response)
    }

    /// Requests a blob from an offset on, and returns the response before its body; logs in and follows redirects.
    pub(crate) async fn open_blob(
        &self,
        digest: &Digest,
        offset: u64,
    ) -> Result<http::Response<Incoming>, ErrorKind> {
        let mut url = self.url(&format!("blobs/{digest}"));
        let mut is_renewed = false;

        for _ in 0..=MAX_REDIRECTS + 1 {
            let current = self.authorization.lock().await.clone();
            let response = self.open(&url, offset, current.header.as_deref()).await?;
            match response.status() {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => return Ok(response),
                // The partial file is not a part of this blob; the next request is for everything.
                StatusCode::RANGE_NOT_SATISFIABLE if offset > 0 => return Ok(response),
                // Also in the middle of a pull: tokens are valid for minutes.
                StatusCode::UNAUTHORIZED if !is_renewed => {
                    is_renewed = true;
                    let response = read_start(response).await;
                    self.renew(current.generation, &response).await?;
                }
                status if status.is_redirection() => {
                    let location = response.headers().get(LOCATION);
                    let location = location.and_then(|text| text.to_str().ok());
                    let Some(location) = location else { break };
                    url = self.resolve_location(&url, location)?;
                }
                _ => {
                    let response = self.check_status(read_start(response).await).await?;
                    return Err(self.busy(&response).0);
                }
            }
        }

        Err(self.invalid_response("more redirects than allowed"))
    }

    async fn open(
        &self,
        url: &str,
        offset: u64,
        header: Option<&str>,
    ) -> Result<http::Response<Incoming>, ErrorKind> {
        let uri = self.parse_url(url)?;
        let mut call = Call::new(Method::GET, url.to_owned());
        if offset > 0 {
            call = call.with(RANGE, &format!("bytes={offset}-"));
        }

        // Storage URLs are presigned, and their hosts must not see the credentials.
        let header = header.filter(|_| self.is_registry(&uri));
        let request = call.build(uri, header);
        let request = request.map_err(|error| self.invalid_response(&error.to_string()))?;
        let request = request.map(|()| Full::default());
        self.client.transport.open(request).await
    }

    async fn send(&self, call: &Call, header: Option<&str>) -> Result<Response, ErrorKind> {
        let url = self.parse_url(&call.url)?;
        let header = header.filter(|_| self.is_registry(&url));
        let request = call.build(url, header);
        let request = request.map_err(|error| self.invalid_response(&error.to_string()))?;
        self.send_with_retries(request.map(|()| Full::new(call.body.clone())))
            .await
    }

    /// Returns whether a URL is at the registry: no other host must see the credentials.
    fn is_registry(&self, url: &Uri) -> bool {
        // A registry may write the default port into its URLs.
        let without_port =
            |authority: &str| authority.trim_end_matches(":443").to_ascii_lowercase();
        let host = without_port(self.reference.host());
        url.authority()
            .is_some_and(|authority| without_port(authority.as_str()) == host)
    }

    /// Follows the redirects of a blob; its digest is known, so its location does not matter.
    async fn follow_redirects(
        &self,
        mut response: Response,
        mut url: String,
        accept: &str,
    ) -> Result<Response, ErrorKind> {
        // Storage backends redirect once or twice; the limit ends a loop.
        for _ in 0..MAX_REDIRECTS {
            let Some(location) = response.header("location") else {
                break;
            };
            url = self.resolve_location(&url, location)?;

            // Storage URLs are presigned, and their hosts must not see the credentials.
            let call = Call::new(Method::GET, url.clone()).with(ACCEPT, accept);
            response = self.send(&call, None).await?;
            if response.status == StatusCode::OK {
                return Ok(response);
            }

            if !response.status.is_redirection() {
                break;
            }
        }

        Err(self.status(&response))
    }

    /// Logs in for the challenge of a response, unless another request has done so since `generation`.
    async fn renew(
        &self,
        generation: u64,
        response: &Response,
    ) -> Result<Option<String>, ErrorKind> {
        // Held while the token server responds: requests in parallel must not fetch a token each.
        let mut current = self.authorization.lock().await;
        if current.generation == generation {
            let login = self.client.credentials.login(&self.reference).await?;
            current.user = login.as_ref().map(|login| login.user().to_owned());
            current.header = self.authorize(response, login.as_ref()).await?;
            current.generation += 1;
        }

        Ok(current.header.clone())
    }

    /// Parses a URL of a registry: https, or http for a local registry.
    pub(crate) fn parse_url(&self, url: &str) -> Result<Uri, ErrorKind> {
        let uri: Uri = url
            .parse()
            .map_err(|_| self.invalid_response("an invalid URL"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => Ok(uri),
            (Some("http"), Some(_)) if self.reference.is_local() => Ok(uri),
            (Some("http"), Some(host)) => Err(ErrorKind::PlainHttp(host.to_owned())),
            _ => Err(self.invalid_response("a URL that is not https")),
        }
    }

    /// Converts the statuses that any request can get to errors.
    pub(crate) async fn check_status(&self, response: Response) -> Result<Response, ErrorKind> {
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.login_error().await),
            StatusCode::NOT_FOUND => Err(ErrorKind::NotFound {
                host: self.host(),
                message: error_message(&response),
            }),
            _ => Ok(response),
        }
    }

    /// Returns the error of a refused login.
    pub(crate) async fn login_error(&self) -> ErrorKind {
        self.denied_error(self.authorization.lock().await.user.clone())
    }

    pub(crate) fn denied_error(&self, user: Option<String>) -> ErrorKind {
        ErrorKind::denied_error(&self.reference, user)
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, response: &Response) -> Result<T, ErrorKind> {
        serde_json::from_slice(&response.body).map_err(|error| {
            let kind = response.header("content-type").unwrap_or("no type");
            let kind: String = kind.chars().take(60).collect();
            match error.classify() {
                serde_json::error::Category::Data => self.invalid_response(&error.to_string()),
                _ => self.invalid_response(&format!("{kind}, not JSON")),
            }
        })
    }

    pub(crate) fn status(&self, response: &Response) -> ErrorKind {
        ErrorKind::Status {
            host: self.host(),
            status: response.status.as_u16(),
            message: error_message(response),
        }
    }

    pub(crate) fn invalid_response(&self, reason: &str) -> ErrorKind {
        ErrorKind::InvalidResponse {
            host: self.host(),
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn host(&self) -> String {
        self.reference.registry().to_owned()
    }
}

/// Reads the start of the body of an error, the rest of which does not matter.
async fn read_start(response: http::Response<Incoming>) -> Response {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, MAX_ERROR_BYTES).collect();
    let body = timeout(ERROR_TIMEOUT, body).await;
    Response {
        status: parts.status,
        headers: parts.headers,
        body: match body {
            Ok(Ok(body)) => body.to_bytes(),
            _ => Bytes::new(),
        },
    }
}

/// Returns the first error message in a response, safe for display.
pub(crate) fn error_message(response: &Response) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
    let message = value.pointer("/errors/0/message")?.as_str()?;
    let plain = message.chars().filter(|c| !c.is_control());
    Some(plain.take(200).collect())
}

const MAX_REDIRECTS: usize = 5;
const MAX_ERROR_BYTES: usize = 64 * 1024;
const ERROR_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credentials, Limits};

    #[test]
    fn sends_credentials_to_the_registry_only() {
        let client = Client::new(Credentials::default(), Limits::default()).unwrap();
        let reference = "registry.example/web:1".parse().unwrap();
        let session = Session::new(client, reference, Access::Pull);
        for (url, is_registry) in [
            ("https://registry.example/v2/", true),
            ("https://Registry.example:443/v2/", true),
            ("https://registry.example:444/v2/", false),
            ("https://registry.example.evil.example/v2/", false),
            ("https://me@registry.example/v2/", false),
        ] {
            assert_eq!(
                session.is_registry(&Uri::from_static(url)),
                is_registry,
                "{url}"
            );
        }
    }
}
