//! An external service that authorizes requests without another credential, like Envoy's
//! `ext_authz` over HTTP or Traefik's `ForwardAuth`: it gets the method, path and some headers of the
//! request, no body; 200 allows the request.

use std::net::IpAddr;
use std::sync::Arc;

use chassis::HumanDuration;
use chassis::http::{ParseUpstreamError, Upstream, UpstreamLimits, empty};
use http::header::{CONTENT_LENGTH, HOST, LOCATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{is_from_this_task, single_header};
use crate::claims::split_scopes;
use crate::headers::{CLIENT, ISSUER, SCOPES, SUBJECT, TOKEN};
use crate::identity::{Credential, Identity, PassedHeaders};
use crate::rejection::Rejection;

/// Settings of the external service.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExternalSettings {
    /// Base URL of a service that authorizes requests without another credential; 200 allows them.
    #[schemars(url)]
    pub url: Option<String>,
    /// How it is asked: `envoy` sends the request's method and path below `url`, `forward_auth` a GET to
    /// `url` itself, as Traefik does, and takes any 2xx as allowed.
    pub protocol: ExternalProtocol,
    /// Headers of an allowing response that are set for the app, and removed from what clients send.
    pub app_headers: Vec<String>,
    /// Headers of its responses that are passed to the client, such as `set-cookie`.
    pub client_headers: Vec<String>,
    /// Request headers forwarded to the service, besides `host`. `x-forwarded-method`, `-uri`, `-host` and
    /// `-for` are always those of the request, never the client's.
    pub headers: Vec<String>,
    /// How long the service may take; without a response the request is rejected.
    pub timeout: HumanDuration,
}

impl Default for ExternalSettings {
    fn default() -> Self {
        Self {
            url: None,
            protocol: ExternalProtocol::default(),
            app_headers: Vec::new(),
            client_headers: Vec::new(),
            headers: ["authorization", "cookie"].map(str::to_owned).to_vec(),
            timeout: HumanDuration::from_secs(2),
        }
    }
}

/// How the external service is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExternalProtocol {
    /// With the method and the path of the request, below the URL.
    #[default]
    Envoy,
    /// With GET at the URL; `X-Forwarded-*` describe the request.
    ForwardAuth,
}

impl ExternalSettings {
    /// Returns the first header that cannot be passed on, with its setting.
    pub(crate) fn invalid_header(&self) -> Option<(&'static str, &String)> {
        let is_app = |name: &HeaderName| !IDENTITY.contains(name) && *name != HOST;
        let app = invalid_name(&self.app_headers, is_app);
        let client = invalid_name(&self.client_headers, |_| true);
        let asked = invalid_name(&self.headers, |_| true);
        app.map(|name| ("external.app_headers", name))
            .or(client.map(|name| ("external.client_headers", name)))
            .or(asked.map(|name| ("external.headers", name)))
    }
}

/// Returns the first text that is no header name, frames a message, or is not allowed.
fn invalid_name(names: &[String], is_allowed: impl Fn(&HeaderName) -> bool) -> Option<&String> {
    let is_valid = |text: &String| {
        let name = text.parse::<HeaderName>();
        name.is_ok_and(|name| !FRAMING.contains(&name) && is_allowed(&name))
    };
    names.iter().find(|name| !is_valid(name))
}

/// Returns the header names of a setting; invalid ones are reported by `problems`.
pub(crate) fn header_names(names: &[String]) -> Vec<HeaderName> {
    names.iter().filter_map(|name| name.parse().ok()).collect()
}

/// A client of the external service.
#[derive(Clone, Debug)]
pub struct External {
    upstream: Upstream,
    /// The target of every request, for [`ExternalProtocol::ForwardAuth`].
    target: Option<PathAndQuery>,
    headers: Arc<[HeaderName]>,
    app_headers: Arc<[HeaderName]>,
    client_headers: Arc<[HeaderName]>,
}

/// A rejection by the service, passed on to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalRejection {
    /// 401, 403, or a redirect to a login page.
    pub status: StatusCode,
    /// `Location` or `WWW-Authenticate`, if the service sent one, and the chosen headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl External {
    /// Creates a client of the service at `url`.
    pub fn new(url: &str, settings: &ExternalSettings) -> Result<Self, ParseUpstreamError> {
        let timeout = settings.timeout;
        let limits = UpstreamLimits {
            connect_timeout: timeout,
            response_timeout: timeout,
            stall_timeout: timeout,
            ..UpstreamLimits::default()
        };
        let (base, target) = match settings.protocol {
            ExternalProtocol::Envoy => (url.to_owned(), None),
            ExternalProtocol::ForwardAuth => split_target(url),
        };
        Ok(Self {
            upstream: Upstream::new(&base, limits)?,
            target,
            headers: header_names(&settings.headers).into(),
            app_headers: header_names(&settings.app_headers).into(),
            client_headers: header_names(&settings.client_headers).into(),
        })
    }

    /// Returns the identity of a request if the service allows it; `client` is the address of its
    /// client.
    pub async fn identity(
        &self,
        request: &Parts,
        client: Option<IpAddr>,
    ) -> Result<Identity, Rejection> {
        let response = self
            .upstream
            .send(self.check_request(request, client))
            .await;
        let response = response.map_err(|error| {
            tracing::warn!(%error, "the external service did not respond");
            Rejection::NoAnswer
        })?;
        // Only these statuses are decisions. Anything else fails closed.
        let is_forward_auth = self.target.is_some();
        match response.status() {
            StatusCode::OK => Ok(self.to_identity(response.headers())),
            status if is_forward_auth && status.is_success() => {
                Ok(self.to_identity(response.headers()))
            }
            status @ StatusCode::UNAUTHORIZED => {
                Err(self.denial(status, &[WWW_AUTHENTICATE], response.headers()))
            }
            status @ (StatusCode::FOUND | StatusCode::SEE_OTHER) => {
                Err(self.denial(status, &[LOCATION], response.headers()))
            }
            status @ (StatusCode::MOVED_PERMANENTLY
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT)
                if is_forward_auth =>
            {
                Err(self.denial(status, &[LOCATION], response.headers()))
            }
            status @ StatusCode::FORBIDDEN => Err(self.denial(status, &[], response.headers())),
            status => {
                tracing::warn!(
                    status = status.as_u16(),
                    "the external service sent an unexpected status"
                );
                Err(Rejection::NoAnswer)
            }
        }
    }

    fn check_request(
        &self,
        request: &Parts,
        client: Option<IpAddr>,
    ) -> Request<chassis::http::Body> {
        let mut check = Request::new(empty());
        if let Some(target) = &self.target {
            *check.uri_mut() = Uri::from(target.clone());
        } else {
            *check.method_mut() = request.method.clone();
            *check.uri_mut() = request.uri.clone();
        }
        let headers = check.headers_mut();
        for name in self.headers.iter().chain([&HOST]) {
            for value in request.headers.get_all(name) {
                headers.append(name, value.clone());
            }
        }

        // The body is not forwarded, so its length must not be either.
        headers.remove(CONTENT_LENGTH);

        // Many services decide on these headers. From the client they would describe another request
        // than the one that is forwarded (CVE-2026-40575), so they are always set here, or absent.
        let host = match request.uri.authority() {
            Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
            None => request.headers.get(HOST).cloned(),
        };
        let uri = request.uri.path_and_query().map(PathAndQuery::as_str);
        let client = client.map(|address| address.to_string());
        for (name, value) in [
            (METHOD, HeaderValue::from_str(request.method.as_str()).ok()),
            (URI, uri.and_then(|uri| HeaderValue::from_str(uri).ok())),
            (FORWARDED_HOST, host),
            (
                FOR,
                client.and_then(|client| HeaderValue::try_from(client).ok()),
            ),
        ] {
            match value {
                Some(value) => drop(headers.insert(name, value)),
                None => drop(headers.remove(name)),
            }
        }

        if self.target.is_some() {
            self.describe_forward_auth(request, headers);
        }
        check
    }

    /// Sets what differs for a service that serves at its own URL, as Traefik does.
    fn describe_forward_auth(&self, request: &Parts, headers: &mut HeaderMap) {
        if let Ok(host) = HeaderValue::from_str(self.upstream.authority().as_str()) {
            headers.insert(HOST, host);
        }

        // Only the proxy in this task knows whether the client used TLS.
        let scheme = single_header(&request.headers, &PROTO).flatten();
        headers.remove(PROTO);
        let scheme = scheme.filter(|_| is_from_this_task(request));
        match scheme {
            Some(b"https") => headers.insert(PROTO, HeaderValue::from_static("https")),
            Some(b"http") => headers.insert(PROTO, HeaderValue::from_static("http")),
            _ => None,
        };
    }

    /// Builds the rejection that a client gets from a denial.
    fn denial(&self, status: StatusCode, names: &[HeaderName], headers: &HeaderMap) -> Rejection {
        let one = names.iter().filter_map(|name| {
            let value = headers.get(name)?;
            Some((name.clone(), value.clone()))
        });
        let chosen = self
            .client_headers
            .iter()
            .filter(|name| !names.contains(name));
        let chosen = chosen.flat_map(|name| {
            let values = headers.get_all(name).iter();
            values.map(|value| (name.clone(), value.clone()))
        });
        let headers = one.chain(chosen).collect();
        Rejection::Denied(ExternalRejection { status, headers })
    }

    fn to_identity(&self, headers: &HeaderMap) -> Identity {
        let text = |name: &HeaderName| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let issuer = self.upstream.authority().to_string();
        let mut identity = Identity::new(Credential::External, text(&SUBJECT), issuer);
        identity.scopes = split_scopes(text(&SCOPES).into_iter().collect());
        identity.client = text(&CLIENT);
        let copy = |names: &[HeaderName]| {
            let mut copied = HeaderMap::new();
            for name in names {
                for value in headers.get_all(name) {
                    copied.append(name, value.clone());
                }
            }
            copied
        };

        if !self.app_headers.is_empty() || !self.client_headers.is_empty() {
            let (app, client) = (copy(&self.app_headers), copy(&self.client_headers));
            identity.passed = Some(Box::new(PassedHeaders { app, client }));
        }
        identity
    }
}

/// Splits a URL into its origin and its target.
fn split_target(url: &str) -> (String, Option<PathAndQuery>) {
    let parsed = url.parse::<Uri>().ok();
    let parts = parsed.and_then(|url| {
        let base = format!("{}://{}", url.scheme_str()?, url.authority()?);
        Some((base, url.path_and_query()?.clone()))
    });
    match parts {
        Some((base, target)) => (base, Some(target)),
        // Not a URL, which `Upstream::new` reports.
        None => (url.to_owned(), None),
    }
}

/// The headers of one hop, and those of a message's length and form.
const FRAMING: [HeaderName; 9] = [
    http::header::CONNECTION,
    CONTENT_LENGTH,
    http::header::CONTENT_ENCODING,
    http::header::TE,
    http::header::TRAILER,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];
/// The headers that are set from the identity.
const IDENTITY: [HeaderName; 5] = [SUBJECT, SCOPES, CLIENT, ISSUER, TOKEN];

const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
