//! One request: checked, given its `X-Forwarded-*`, sent to the next hop.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use chassis::http::{Body, Upstream, problem};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{HOST, STRICT_TRANSPORT_SECURITY},
    uri::Authority,
};

use crate::{Identity, tls::Open};

/// Sends requests on to the next hop.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) upstream: Upstream,
    pub(crate) inbound: Inbound,
    /// `Strict-Transport-Security` of every answer.
    pub(crate) hsts: Option<HeaderValue>,
    pub(crate) log: AccessLog,
}

/// What is known of a client for as long as its connection is open.
pub(crate) struct Client {
    ip: IpAddr,
    forwarded_for: Option<HeaderValue>,
    certificate: Option<HeaderValue>,
    /// Counts the connection.
    _open: Open,
}

impl Client {
    pub(crate) fn new(ip: IpAddr, identity: Option<&Identity>, open: Open) -> Self {
        let ip = ip.to_canonical();
        Self {
            ip,
            forwarded_for: HeaderValue::from_str(&ip.to_string()).ok(),
            certificate: identity.and_then(Identity::header),
            _open: open,
        }
    }
}

/// Which of the requests or connections get a line in the log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    every: Option<u64>,
    count: AtomicU64,
}

impl AccessLog {
    /// One of as many as make up this share.
    pub(crate) fn new(share: f64) -> Self {
        let every = (share > 0.0).then(|| (1.0 / share).round().max(1.0) as u64);
        Self {
            every,
            count: AtomicU64::new(0),
        }
    }

    /// Whether this one is in it.
    pub(crate) fn takes(&self) -> bool {
        self.every.is_some_and(|every| {
            self.count
                .fetch_add(1, Ordering::Relaxed)
                .is_multiple_of(every)
        })
    }
}

/// What becomes of the `X-Forwarded-*` that arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// They are removed: anybody can write them.
    Replaced,
    /// They are kept and added to: a proxy in front has written them.
    Trusted,
}

impl Forward {
    pub(crate) async fn answer(&self, request: Request<Body>, client: &Client) -> Response<Body> {
        let noted = self.log.takes().then(|| {
            let (method, path) = (request.method().clone(), request.uri().path().to_owned());
            (method, path, Instant::now())
        });
        let mut response = self.pass_on(request, client).await;

        if let Some(hsts) = &self.hsts
            && !response.headers().contains_key(STRICT_TRANSPORT_SECURITY)
        {
            let headers = response.headers_mut();
            headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }

        if let Some((method, path, started)) = noted {
            let (status, ms) = (
                response.status().as_u16(),
                started.elapsed().as_millis() as u64,
            );
            tracing::info!(client = %client.ip, %method, path, status, ms, "request");
        }

        response
    }

    async fn pass_on(&self, mut request: Request<Body>, client: &Client) -> Response<Body> {
        if let Some(refusal) = Refusal::of(&request) {
            return refusal.response();
        }

        let host = host(request.uri(), request.headers());
        let forwarded = Forwarded { client, host };
        forwarded.write(request.headers_mut(), self.inbound);

        match self.upstream.send(request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "no answer from upstream"
                );
                error.response()
            }
        }
    }
}

/// Why a request is not passed on: two readers could understand it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Tunnel,
    HowManyHosts,
    NoHost,
}

impl Refusal {
    fn of<B>(request: &Request<B>) -> Option<Self> {
        if *request.method() == Method::CONNECT {
            return Some(Self::Tunnel);
        }

        let named_in_target = request.uri().authority().is_some();
        let mut hosts = request.headers().get_all(HOST).iter();
        match (hosts.next(), hosts.next()) {
            (_, Some(_)) => Some(Self::HowManyHosts),
            (Some(host), None) if !is_authority(host) => Some(Self::NoHost),
            (None, None) if !named_in_target && request.version() != Version::HTTP_10 => {
                Some(Self::HowManyHosts)
            }
            _ => None,
        }
    }

    fn response(self) -> Response<Body> {
        let (status, code, message) = match self {
            Self::Tunnel => (
                StatusCode::METHOD_NOT_ALLOWED,
                "connect_refused",
                "this proxy opens no tunnels",
            ),
            Self::HowManyHosts => (
                StatusCode::BAD_REQUEST,
                "bad_host",
                "a request names one host",
            ),
            Self::NoHost => (
                StatusCode::BAD_REQUEST,
                "bad_host",
                "the host is not a name and a port",
            ),
        };

        problem(status, code, message)
    }
}

fn is_authority(host: &HeaderValue) -> bool {
    let text = host.to_str().unwrap_or_default();
    text.parse::<Authority>()
        .is_ok_and(|authority| !authority.as_str().contains('@'))
}

fn host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    match uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => headers.get(HOST).cloned(),
    }
}

/// What the next hop is told about the client's side.
struct Forwarded<'a> {
    client: &'a Client,
    host: Option<HeaderValue>,
}

impl Forwarded<'_> {
    fn write(self, headers: &mut HeaderMap, inbound: Inbound) {
        let chain = match inbound {
            Inbound::Replaced => {
                remove_claims(headers, is_claim);
                self.client.forwarded_for.clone()
            }
            Inbound::Trusted => {
                // Who the client is by its certificate only we have seen.
                remove_claims(headers, is_certificate);
                HeaderValue::from_str(&self.chain(headers)).ok()
            }
        };

        if let Some(certificate) = &self.client.certificate {
            headers.insert(CERTIFICATE, certificate.clone());
        }
        if let Some(chain) = chain {
            headers.insert(FOR, chain);
        }

        if !headers.contains_key(&PROTO) {
            headers.insert(PROTO, HeaderValue::from_static("https"));
        }
        if let Some(host) = self.host
            && !headers.contains_key(&ORIGINAL_HOST)
        {
            headers.insert(ORIGINAL_HOST, host);
        }
    }

    /// The addresses that arrived, and the one they arrived from.
    fn chain(&self, headers: &HeaderMap) -> String {
        let arrived = headers
            .get_all(&FOR)
            .iter()
            .filter_map(|value| value.to_str().ok());
        let client = self.client.ip.to_string();
        let all: Vec<&str> = arrived.chain([client.as_str()]).collect();
        all.join(", ")
    }
}

/// Removes every header that claims to know the client, under any spelling an app may fold into it.
fn remove_claims(headers: &mut HeaderMap, is_one: fn(&str) -> bool) {
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_one(name.as_str()))
        .cloned()
        .collect();
    for claim in claims {
        headers.remove(claim);
    }
}

fn is_claim(name: &str) -> bool {
    reads(name, "x-forwarded-", true)
        || reads(name, "forwarded", false)
        || reads(name, "x-real-ip", false)
}

fn is_certificate(name: &str) -> bool {
    reads(name, CERTIFICATE.as_str(), false)
}

/// Whether an app that takes `_` and `.` for `-` would read this header under that name, or one beginning so.
fn reads(name: &str, known: &str, begins: bool) -> bool {
    let same = |one: u8, other: u8| one == other || (other == b'-' && matches!(one, b'_' | b'.'));
    (name.len() == known.len() || begins && name.len() > known.len())
        && name
            .bytes()
            .zip(known.bytes())
            .all(|(one, other)| same(one, other))
}

const CERTIFICATE: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const ORIGINAL_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

#[cfg(test)]
mod tests {
    use super::*;

    fn written(inbound: Inbound, arrived: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in arrived {
            headers.append(*name, HeaderValue::from_static(value));
        }

        let host = Some(HeaderValue::from_static("coins.example"));
        let open = Open::uncounted();
        let client = &Client::new([203, 0, 113, 9].into(), None, open);
        Forwarded { client, host }.write(&mut headers, inbound);

        let line = |(name, value): (&HeaderName, &HeaderValue)| {
            format!("{name}: {}", value.to_str().unwrap())
        };
        let mut lines: Vec<String> = headers.iter().map(line).collect();

        lines.sort();
        lines
    }

    #[test]
    fn replaces_what_anybody_can_write() {
        let spoofed = [
            ("x-forwarded-for", "10.0.0.1"),
            ("x_forwarded_for", "10.0.0.1"),
            ("x.forwarded.proto", "http"),
            ("x-forwarded-port", "1"),
            ("x-forwarded-client-cert", "Hash=1"),
            ("x_forwarded.client-cert", "Hash=1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
        ];

        let wanted = [
            "x-forwarded-for: 203.0.113.9",
            "x-forwarded-host: coins.example",
            "x-forwarded-proto: https",
        ];
        assert_eq!(written(Inbound::Replaced, &spoofed), wanted);
    }

    #[test]
    fn adds_to_what_a_trusted_proxy_wrote() {
        let trusted = [
            ("x-forwarded-for", "198.51.100.7"),
            ("x-forwarded-host", "front.example"),
            ("x_forwarded_client_cert", "Hash=1"),
        ];
        let wanted = [
            "x-forwarded-for: 198.51.100.7, 203.0.113.9",
            "x-forwarded-host: front.example",
            "x-forwarded-proto: https",
        ];
        assert_eq!(written(Inbound::Trusted, &trusted), wanted);
    }

    fn refusal(request: http::request::Builder) -> Option<Refusal> {
        Refusal::of(&request.body(()).unwrap())
    }

    #[test]
    fn refuses_a_request_with_no_host_two_hosts_or_nonsense_for_one() {
        assert_eq!(refusal(Request::get("/")), Some(Refusal::HowManyHosts));
        let two = Request::get("/").header(HOST, "a").header(HOST, "b");
        assert_eq!(refusal(two), Some(Refusal::HowManyHosts));
        for nonsense in ["a b", "", "user@a", "a/b"] {
            let request = Request::get("/").header(HOST, nonsense);
            assert_eq!(refusal(request), Some(Refusal::NoHost), "{nonsense}");
        }
    }

    #[test]
    fn passes_a_request_that_names_one_host() {
        assert_eq!(
            refusal(Request::get("/").header(HOST, "a.example:8443")),
            None
        );
        assert_eq!(refusal(Request::get("https://a.example/")), None);
        assert_eq!(refusal(Request::get("/").version(Version::HTTP_10)), None);
    }

    #[test]
    fn refuses_to_open_tunnels() {
        assert_eq!(
            refusal(Request::connect("a.example:443")),
            Some(Refusal::Tunnel)
        );
    }
}
