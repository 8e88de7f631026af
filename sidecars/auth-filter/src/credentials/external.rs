//! A service that is asked about requests that nothing else vouches for, as Envoy's `ext_authz` asks
//! over HTTP: the method and path of the request, some of its headers, no body; 200 lets it through.

use std::sync::Arc;

use chassis::Period;
use chassis::http::{InvalidUpstream, Upstream, UpstreamLimits, empty};
use http::header::{CONTENT_LENGTH, HOST, LOCATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::claims::split_scopes;
use crate::headers::{CLIENT, SCOPES, SUBJECT};
use crate::identity::{Credential, Identity};
use crate::rejection::Rejection;

/// Which service is asked, and how.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExternalSettings {
    /// Base address of a service that is asked about requests without another credential; 200 lets them through.
    #[schemars(url)]
    pub url: Option<String>,
    /// Headers of the request that the service sees, beside `host` and `x-forwarded-*`.
    pub headers: Vec<String>,
    /// How long the service may take; without an response the request is refused.
    pub timeout: Period,
}

impl Default for ExternalSettings {
    fn default() -> Self {
        Self {
            url: None,
            headers: ["authorization", "cookie"].map(str::to_owned).to_vec(),
            timeout: Period::from_secs(2),
        }
    }
}

/// The service that is asked.
#[derive(Clone, Debug)]
pub struct External {
    upstream: Upstream,
    headers: Arc<[HeaderName]>,
}

/// The service's no, as the client is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalRejection {
    /// 401, 403, or a redirect to where one logs in.
    pub status: StatusCode,
    /// `Location` or `WWW-Authenticate`, where the service gave one.
    pub header: Option<(HeaderName, HeaderValue)>,
}

impl External {
    /// Asks the service at `url`, which sees `headers`.
    pub fn new(
        url: &str,
        headers: Vec<HeaderName>,
        timeout: Period,
    ) -> Result<Self, InvalidUpstream> {
        let limits = UpstreamLimits {
            connect: timeout,
            response: timeout,
            stall: timeout,
            ..UpstreamLimits::default()
        };
        Ok(Self {
            upstream: Upstream::new(url, limits)?,
            headers: headers.into(),
        })
    }

    /// Who a request is from, if the service lets it through.
    pub async fn identity(&self, request: &Parts) -> Result<Identity, Rejection> {
        let response = self.upstream.send(self.check_request(request)).await;
        let response = response.map_err(|error| {
            tracing::warn!(%error, "the external service did not response");
            Rejection::NoAnswer
        })?;
        let header = |name: HeaderName| {
            let value = response.headers().get(&name)?;
            Some((name, value.clone()))
        };

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
                    "the external service said neither yes nor no"
                );
                Err(Rejection::NoAnswer)
            }
        }
    }

    fn check_request(&self, request: &Parts) -> Request<chassis::http::Body> {
        let mut check = Request::new(empty());
        *check.method_mut() = request.method.clone();
        *check.uri_mut() = request.uri.clone();

        let forwarded = request
            .headers
            .keys()
            .filter(|name| name.as_str().starts_with("x-forwarded-"));

        for name in self.headers.iter().chain([&HOST]).chain(forwarded) {
            for value in request.headers.get_all(name) {
                check.headers_mut().append(name, value.clone());
            }
        }

        check.headers_mut().remove(CONTENT_LENGTH);
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
