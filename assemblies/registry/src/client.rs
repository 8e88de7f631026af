//! The client: requests, authentication, retries, and digest verification.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::auth::{Challenge, Token, basic_authorization};
use crate::credentials::{Credentials, Login};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::manifest::{self, Config, Image, Manifest, Platform};
use crate::reference::Reference;
use crate::transport::{Response, Transport};

/// A client for registries.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) transport: Transport,
    pub(crate) credentials: Credentials,
    pub(crate) limits: Limits,
}

/// The limits of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The timeout of a request, from name resolution to the last byte.
    pub request_timeout: Duration,
    /// The maximum size of a response, in bytes; the OCI specification recommends that registries limit
    /// manifests to 4 MiB.
    pub max_response_bytes: usize,
    /// The maximum number of retries when a registry is busy or failing.
    pub max_retries: u32,
    /// The maximum wait before a retry; a longer `Retry-After` ends the retries.
    pub max_retry_wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(30),
            max_response_bytes: 4 * 1024 * 1024,
            max_retries: 3,
            max_retry_wait: Duration::from_secs(20),
        }
    }
}

impl Client {
    /// Creates a client with these credentials.
    pub fn new(credentials: Credentials, limits: Limits) -> Result<Self, rustls::Error> {
        Ok(Self {
            transport: Transport::new(limits)?,
            credentials,
            limits,
        })
    }

    /// Resolves a reference to an image, and checks that it supports these platforms.
    pub async fn resolve(&self, image: &str, required: &[Platform]) -> Result<Image, Error> {
        let outcome = self.resolve_kind(image, required).await;
        outcome.map_err(|kind| Error {
            image: image.to_owned(),
            kind,
        })
    }

    async fn resolve_kind(&self, image: &str, required: &[Platform]) -> Result<Image, ErrorKind> {
        let mut resolution = Resolution {
            client: self,
            reference: image.parse()?,
            authorization: None,
        };
        let image = resolution.resolve_image().await?;

        match required
            .iter()
            .find(|platform| !image.platforms.contains(platform))
        {
            None => Ok(image),
            Some(missing) => Err(ErrorKind::MissingPlatform {
                platform: missing.to_string(),
                available: image.platforms.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

/// The resolution of one image; its requests share a token.
pub(crate) struct Resolution<'c> {
    pub(crate) client: &'c Client,
    pub(crate) reference: Reference,
    pub(crate) authorization: Option<String>,
}

impl Resolution<'_> {
    async fn resolve_image(&mut self) -> Result<Image, ErrorKind> {
        let path = format!("manifests/{}", self.reference.tag_or_digest());
        let response = self.fetch(&path, manifest::ACCEPT).await?;
        let digest = self.verify(&response)?;
        let manifest: Manifest = self.json(&response)?;
        // The media type is optional in OCI manifests; then the header has it.
        let kind = manifest
            .media_type
            .as_deref()
            .or(response.header("content-type"));

        if manifest.schema_version != 2 {
            let kind = kind.unwrap_or("manifest of an unsupported version");
            return Err(ErrorKind::UnsupportedManifest(
                kind.chars().take(100).collect(),
            ));
        }

        let platforms = match (&manifest.manifests, &manifest.config) {
            // An index lists its platforms, so its manifests need not be fetched.
            (Some(_), _) => manifest.platforms(),
            (None, Some(config)) => self.platform(&config.digest).await?.into_iter().collect(),
            (None, None) => {
                let kind = kind.unwrap_or("manifest without a config");
                return Err(ErrorKind::UnsupportedManifest(
                    kind.chars().take(100).collect(),
                ));
            }
        };

        Ok(Image { digest, platforms })
    }

    /// Returns the digest of the body; it must match the digest in the reference, or else the header.
    pub(crate) fn verify(&self, response: &Response) -> Result<Digest, ErrorKind> {
        let actual = Digest::from_content(&response.body);
        let requested = self.reference.digest().map(Digest::as_str);
        let expected = requested.or(response.header("docker-content-digest"));
        match expected {
            // A header with another hash algorithm cannot be compared.
            Some(expected) if expected.starts_with("sha256:") && expected != actual.as_str() => {
                Err(ErrorKind::DigestMismatch {
                    host: self.host(),
                    expected: expected.chars().take(100).collect(),
                    actual,
                })
            }
            _ => Ok(actual),
        }
    }

    /// Reads the platform of a single-platform image from its config, a blob addressed by digest.
    async fn platform(&mut self, digest: &str) -> Result<Option<Platform>, ErrorKind> {
        let digest: Digest = digest
            .parse()
            .map_err(|error| self.invalid_response(&format!("an invalid manifest: {error}")))?;
        let response = self.fetch(&format!("blobs/{digest}"), "*/*").await?;
        let actual = Digest::from_content(&response.body);

        if actual != digest {
            return Err(ErrorKind::DigestMismatch {
                host: self.host(),
                expected: digest.to_string(),
                actual,
            });
        }

        Ok(self.json::<Config>(&response)?.platform())
    }

    /// Sends a request, authenticates if the registry requires it, and sends it again.
    pub(crate) async fn fetch(&mut self, path: &str, accept: &str) -> Result<Response, ErrorKind> {
        let url = self.url(path);
        let response = self.get(&url, accept, self.authorization.clone()).await?;
        let response = if response.status == StatusCode::UNAUTHORIZED {
            let login = self.client.credentials.login(&self.reference).await?;
            // Kept for the requests that follow, since a token covers the repository.
            self.authorization = self.authorize(&response, login.as_ref()).await?;
            let again = self.get(&url, accept, self.authorization.clone()).await?;
            self.check_status(again, login.as_ref())?
        } else {
            self.check_status(response, None)?
        };

        // A manifest behind a redirect would not be authenticated by the registry's certificate.
        if response.status.is_redirection() && path.starts_with("blobs/") {
            return self.follow_redirects(response, accept).await;
        }
        if response.status != StatusCode::OK {
            return Err(self.status(&response));
        }

        Ok(response)
    }

    /// Returns the URL of a manifest or blob.
    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.reference.is_local() {
            "http"
        } else {
            "https"
        };
        let (host, repository) = (self.reference.host(), self.reference.repository());
        format!("{scheme}://{host}/v2/{repository}/{path}")
    }

    /// Follows the redirects of a blob; its digest is known, so its location does not matter.
    async fn follow_redirects(
        &self,
        mut response: Response,
        accept: &str,
    ) -> Result<Response, ErrorKind> {
        // Storage backends redirect once or twice; the limit ends a loop.
        for _ in 0..MAX_REDIRECTS {
            let Some(url) = response.header("location").map(str::to_owned) else {
                break;
            };

            // Storage URLs are presigned, and their hosts must not see the credentials.
            response = self.get(&url, accept, None).await?;
            if response.status == StatusCode::OK {
                return Ok(response);
            }

            if !response.status.is_redirection() {
                break;
            }
        }

        Err(self.status(&response))
    }

    async fn get(
        &self,
        url: &str,
        accept: &str,
        authorization: Option<String>,
    ) -> Result<Response, ErrorKind> {
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(self.parse_url(url)?)
            .header(ACCEPT, accept);

        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::new()));

        self.send_with_retries(request.map_err(|error| self.invalid_response(&error.to_string()))?)
            .await
    }

    /// Sends a request and retries within the limits while the registry is busy or failing.
    async fn send_with_retries(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response, ErrorKind> {
        let limits = self.client.limits;
        let mut attempt = 0;
        loop {
            let response = self.client.transport.send(request.clone()).await?;
            let is_busy = response.status == StatusCode::TOO_MANY_REQUESTS;
            if !is_busy && !response.status.is_server_error() {
                return Ok(response);
            }

            let requested = response.header("retry-after").and_then(retry_after);
            let wait = requested.unwrap_or(INITIAL_RETRY_WAIT * 2_u32.pow(attempt.min(6)));
            // A longer wait is reported instead, so that the command does not seem to hang.
            if attempt >= limits.max_retries || wait > limits.max_retry_wait {
                return Err(if is_busy {
                    ErrorKind::RateLimited {
                        host: self.host(),
                        wait: requested,
                    }
                } else {
                    self.status(&response)
                });
            }

            attempt += 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// Returns the `Authorization` header for the challenge of a response.
    pub(crate) async fn authorize(
        &self,
        response: &Response,
        login: Option<&Login>,
    ) -> Result<Option<String>, ErrorKind> {
        let headers = response.headers.get_all("www-authenticate");
        let mut challenges = headers
            .iter()
            .filter_map(|header| Challenge::parse(header.to_str().ok()?));

        match challenges.next() {
            None => Err(self.invalid_response("401 without a supported challenge")),
            Some(Challenge::Basic) => match login.and_then(basic_authorization) {
                Some(authorization) => Ok(Some(authorization)),
                None => Err(self.denied_error(login)),
            },
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => {
                // Some registries omit the scope; pulling this repository is all that is needed.
                let scope = scope
                    .unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository()));
                let token = self
                    .token(&realm, service.as_deref(), &scope, login)
                    .await?;
                Ok(Some(format!("Bearer {token}")))
            }
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        login: Option<&Login>,
    ) -> Result<String, ErrorKind> {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut query = format!("scope={}", encode(scope));
        if let Some(service) = service {
            query.push_str("&service=");
            query.push_str(&encode(service));
        }

        let response = if let Some(Login::IdentityToken(token)) = login {
            // The OAuth 2.0 flow of docker's token protocol (RFC 6749, section 6).
            query.push_str("&grant_type=refresh_token&client_id=assemble&refresh_token=");
            query.push_str(&encode(token));
            let request = Request::builder()
                .method(Method::POST)
                .uri(self.parse_url(realm)?)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::new(Bytes::from(query)));

            self.send_with_retries(
                request.map_err(|error| self.invalid_response(&error.to_string()))?,
            )
            .await?
        } else {
            // A realm may already have a query.
            let mark = if realm.contains('?') { '&' } else { '?' };
            let url = format!("{realm}{mark}{query}");
            self.get(
                &url,
                "application/json",
                login.and_then(basic_authorization),
            )
            .await?
        };

        let response = self.check_status(response, login)?;
        if response.status != StatusCode::OK {
            return Err(self.status(&response));
        }

        let token = self.json::<Token>(&response)?.into_token();
        token.ok_or_else(|| self.invalid_response("a token response without a token"))
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
    pub(crate) fn check_status(
        &self,
        response: Response,
        login: Option<&Login>,
    ) -> Result<Response, ErrorKind> {
        match response.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied_error(login)),
            StatusCode::NOT_FOUND => Err(ErrorKind::NotFound {
                host: self.host(),
                message: error_message(&response),
            }),
            _ => Ok(response),
        }
    }

    fn denied_error(&self, login: Option<&Login>) -> ErrorKind {
        ErrorKind::denied_error(&self.reference, login.map(|login| login.user().to_owned()))
    }

    fn json<T: DeserializeOwned>(&self, response: &Response) -> Result<T, ErrorKind> {
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

/// Returns the first error message in a response, safe for display.
fn error_message(response: &Response) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(&response.body).ok()?;
    let message = value.pointer("/errors/0/message")?.as_str()?;
    let plain = message.chars().filter(|c| !c.is_control());
    Some(plain.take(200).collect())
}

/// Parses `Retry-After`: seconds or an HTTP date.
pub(crate) fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

pub(crate) const MAX_REDIRECTS: usize = 5;
pub(crate) const INITIAL_RETRY_WAIT: Duration = Duration::from_millis(500);
