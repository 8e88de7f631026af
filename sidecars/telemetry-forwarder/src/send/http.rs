//! Sends OTLP/HTTP requests and interprets the responses.

use std::io::Write;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use chassis::format_chain;
use chassis::http::client::{
    Client, ClientConfig, ClientError, ClientLimits, SetupError, TrustStore, check_url,
};
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};

use super::retry::retry_after;
use super::{Prepared, SendOutcome, Splittable};
use crate::config::{Compression, Config};
use crate::otlp::Signal;
use crate::otlp::wire::{Records, Value};

/// Why the client for the endpoint cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The certificate authorities or the proxy cannot be used.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The URL has no host that a server can have.
    #[error(transparent)]
    Url(#[from] ClientError),
}

/// An OTLP/HTTP server.
#[derive(Debug, Clone)]
pub(crate) struct HttpSink {
    client: Client,
    base: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The gzip level, if compression is enabled.
    gzip: Option<u32>,
    timeout: Duration,
}

impl HttpSink {
    pub(super) fn new(base: Uri, config: &Config) -> Result<Self, EndpointError> {
        check_url(&base)?;
        // The file is not needed for plain http, so it need not exist then.
        let trust = if base.scheme() == Some(&Scheme::HTTPS) {
            TrustStore::from_ca_file(&config.ca_file)
        } else {
            TrustStore::PublicRoots
        };
        let client = Client::new(ClientConfig {
            trust,
            proxy: config.proxy.clone(),
            limits: ClientLimits {
                // `export_timeout` limits the whole exchange, so these must not end it earlier.
                response_timeout: config.export_timeout.duration(),
                stall_timeout: config.export_timeout.duration(),
                // One per signal; each worker sends one request at a time.
                max_idle_connections: Signal::ALL.len(),
                ..ClientLimits::default()
            },
            ..ClientConfig::default()
        })?;

        Ok(Self {
            client,
            base: base.to_string().trim_end_matches('/').to_owned(),
            headers: config.header_pairs().unwrap_or_default(),
            gzip: (config.compression == Compression::Gzip).then_some(config.compression_level),
            timeout: config.export_timeout.duration(),
        })
    }

    pub(super) fn prepare(&self, request: Bytes) -> Result<Prepared, String> {
        let Some(level) = self.gzip else {
            return Ok(Prepared {
                body: request,
                gzip: false,
            });
        };

        let compressed = Vec::with_capacity(request.len() / 4);
        let mut encoder = GzEncoder::new(compressed, flate2::Compression::new(level));
        let body = encoder.write_all(&request).and_then(|()| encoder.finish());
        Ok(Prepared {
            body: body.map_err(|error| error.to_string())?.into(),
            gzip: true,
        })
    }

    pub(super) async fn send(&self, signal: Signal, prepared: &Prepared) -> SendOutcome {
        let request = match self.request(signal, prepared) {
            Ok(request) => request,
            Err(error) => {
                return SendOutcome::Refused {
                    reason: error.to_string(),
                    splittable: Splittable::No,
                };
            }
        };

        match self.client.fetch(request, self.timeout).await {
            Ok(response) => classify(&response, SystemTime::now()),
            Err(error) => SendOutcome::Retry {
                after: None,
                reason: format_chain(&error),
            },
        }
    }

    fn request(&self, signal: Signal, prepared: &Prepared) -> Result<Request<Bytes>, http::Error> {
        let url = format!("{}{}", self.base, signal.path());
        let mut request = Request::post(url).body(prepared.body.clone())?;
        let headers = request.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-protobuf"),
        );
        headers.insert(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE));
        if prepared.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }

        // Last, so that the settings can override the headers above.
        headers.extend(self.headers.iter().cloned());
        Ok(request)
    }
}

/// Classifies a response by the OTLP/HTTP specification: success, retryable, or permanent.
fn classify(response: &Response<Bytes>, now: SystemTime) -> SendOutcome {
    let reason = || match describe(response.body()) {
        Some(text) => format!("{}: {text}", response.status()),
        None => response.status().to_string(),
    };

    match response.status() {
        status if status.is_success() => {
            let (rejected, message) = partial_success(response.headers(), response.body());
            SendOutcome::Delivered { rejected, message }
        }
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => SendOutcome::Retry {
            after: retry_after(response.headers().get(RETRY_AFTER), now),
            reason: reason(),
        },
        // A single item may be the cause; splitting isolates it.
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => SendOutcome::Refused {
            reason: reason(),
            splittable: Splittable::Yes,
        },
        _ => SendOutcome::Refused {
            reason: reason(),
            splittable: Splittable::No,
        },
    }
}

/// Parses `partial_success`: the number of rejected items and the message.
fn partial_success(headers: &HeaderMap, body: &[u8]) -> (usize, String) {
    if headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(JSON))
    {
        return partial_success_json(body).unwrap_or_default();
    }

    let (mut rejected, mut message) = (0, String::new());
    for record in Records::new(body).map_while(Result::ok) {
        // ExportTraceServiceResponse.partial_success, the same number for all three signals.
        let (1, Value::Delimited(partial)) = (record.number, record.value) else {
            continue;
        };
        for record in Records::new(partial).map_while(Result::ok) {
            match (record.number, record.value) {
                (1, Value::Varint(count)) => rejected = usize::try_from(count).unwrap_or(0),
                (2, Value::Delimited(text)) => message = sanitize(text),
                _ => {}
            }
        }
    }

    (rejected, message)
}

/// Parses a partial success in JSON, which some servers return for protobuf requests as well.
fn partial_success_json(body: &[u8]) -> Option<(usize, String)> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let partial = body.get("partialSuccess")?;
    let rejected = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"]
        .iter()
        .find_map(|name| partial.get(name))
        .and_then(|count| {
            count
                .as_str()
                .map_or(count.as_u64(), |text| text.parse().ok())
        });

    let message = partial
        .get("errorMessage")
        .and_then(|text| text.as_str())
        .unwrap_or_default();

    Some((rejected.unwrap_or(0) as usize, message.to_owned()))
}

/// Returns the message of a `google.rpc.Status`, or else the body as text.
fn describe(body: &[u8]) -> Option<String> {
    // A body that is not a `google.rpc.Status` in protobuf is shown as text.
    let in_status = Records::new(body).map_while(Result::ok).find_map(|record| {
        match (record.number, record.value) {
            (2, Value::Delimited(text)) => std::str::from_utf8(text).ok().map(|_| sanitize(text)),
            _ => None,
        }
    });
    in_status.or_else(|| (!body.is_empty()).then(|| sanitize(body)))
}

/// Makes foreign text safe to log: no control characters, at most 200 characters.
fn sanitize(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect()
}

const JSON: &[u8] = b"application/json";
const USER_AGENT_VALUE: &str = concat!("sidecar-telemetry-forwarder/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &'static [u8]) -> SendOutcome {
        let mut response = Response::new(Bytes::from_static(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        classify(&response, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn retries_exactly_the_statuses_of_the_specification() {
        for status in 300..600 {
            let retried = matches!(response(status, b""), SendOutcome::Retry { .. });
            assert_eq!(retried, [429, 502, 503, 504].contains(&status), "{status}");
        }
    }

    #[test]
    fn treats_a_partial_success_as_delivered() {
        // partial_success { rejected: 3, error_message: "no" }
        let outcome = response(200, &[0x0a, 0x06, 0x08, 0x03, 0x12, 0x02, b'n', b'o']);
        let SendOutcome::Delivered { rejected, message } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((rejected, message.as_str()), (3, "no"));
    }

    #[test]
    fn parses_a_partial_success_in_json() {
        let body = br#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}}"#;
        assert_eq!(partial_success_json(body), Some((2, "old".to_owned())));
    }

    #[test]
    fn splits_only_when_the_content_is_refused() {
        let splittable = |status| match response(status, b"") {
            SendOutcome::Refused { splittable, .. } => Some(splittable),
            _ => None,
        };
        assert_eq!(splittable(400), Some(Splittable::Yes));
        assert_eq!(splittable(413), Some(Splittable::Yes));
        assert_eq!(splittable(401), Some(Splittable::No));
        assert_eq!(splittable(404), Some(Splittable::No));
    }
}
