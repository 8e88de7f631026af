//! An external service that authorizes requests without another credential, like Envoy's
//! `ext_authz` over HTTP: it gets the method, path and some headers of the request, no body; 200
//! allows the request.

use std::net::IpAddr;
use std::sync::Arc;

use chassis::HumanDuration;
use chassis::http::{ParseUpstreamError, Upstream, UpstreamLimits, empty};
use http::header::{CONTENT_LENGTH, HOST, LOCATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::claims::split_scopes;
use crate::headers::{CLIENT, SCOPES, SUBJECT};
use crate::identity::{Credential, Identity};
use crate::rejection::Rejection;

/// Settings of the external service.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExternalSettings {
    /// Base URL of a service that authorizes requests without another credential; 200 allows them.
    #[schemars(url)]
    pub url: Option<String>,
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
            headers: ["authorization", "cookie"].map(str::to_owned).to_vec(),
            timeout: HumanDuration::from_secs(2),
        }
    }
}

/// A client of the external service.
#[derive(Clone, Debug)]
pub struct External {
    upstream: Upstream,
    headers: Arc<[HeaderName]>,
}

/// A rejection by the service, passed on to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalRejection {
    /// 401, 403, or a redirect to a login page.
    pub status: StatusCode,
    /// `Location` or `WWW-Authenticate`, if the service sent one.
    pub header: Option<(HeaderName, HeaderValue)>,
}

impl External {
    /// Creates a client of the service at `url` that forwards `headers`.
    pub fn new(
        url: &str,
        headers: Vec<HeaderName>,
        timeout: HumanDuration,
    ) -> Result<Self, ParseUpstreamError> {
        let limits = UpstreamLimits {
            connect_timeout: timeout,
            response_timeout: timeout,
            stall_timeout: timeout,
            ..UpstreamLimits::default()
        };
        Ok(Self {
            upstream: Upstream::new(url, limits)?,
            headers: headers.into(),
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
        let header = |name: HeaderName| {
            let value = response.headers().get(&name)?;
            Some((name, value.clone()))
        };

        // Only these four statuses are decisions. Anything else fails closed.
        match response.status() {
            StatusCode::OK => Ok(self.to_identity(response.headers())),
            status @ StatusCode::UNAUTHORIZED => Err(Rejection::Denied(ExternalRejection {
                status,
                header: header(WWW_AUTHENTICATE),
            })),
            status @ (StatusCode::FOUND | StatusCode::SEE_OTHER) => {
                Err(Rejection::Denied(ExternalRejection {
                    status,
                    header: header(LOCATION),
                }))
            }
            status @ StatusCode::FORBIDDEN => Err(Rejection::Denied(ExternalRejection {
                status,
                header: None,
            })),
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
        *check.method_mut() = request.method.clone();
        *check.uri_mut() = request.uri.clone();
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

        check
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
        identity
    }
}

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
