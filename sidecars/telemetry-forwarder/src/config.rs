//! The settings, and how `endpoint` and `headers` are parsed.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use chassis::http::Limits;
use chassis::http::client::ProxySettings;
use chassis::{HumanDuration, Problem, Secret, Settings};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the forwarder.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address that receives OTLP over HTTP; it accepts gRPC as well.
    pub listen: SocketAddr,
    /// Address that receives OTLP over gRPC; it accepts HTTP as well.
    pub listen_grpc: SocketAddr,
    /// Destination: a base URL (`https://host`, `/v1/traces` is appended), `file:PATH` for a line of
    /// JSON per batch, or empty to count and discard.
    pub endpoint: String,
    /// Headers of requests to the endpoint: `name=value,name=value`, values percent-encoded.
    pub headers: Secret,
    /// PEM file of certificate authorities to trust instead of the built-in ones.
    pub ca_file: String,
    /// Compression of requests to the endpoint.
    pub compression: Compression,
    /// Gzip compression level, from 1 (fastest) to 9 (smallest).
    #[schemars(range(min = 1, max = 9))]
    pub compression_level: u32,
    /// Resource attributes to add to resources that lack them.
    pub resource: BTreeMap<String, String>,
    /// Maximum size of a request body, in bytes, before and after decompression.
    pub max_body_bytes: usize,
    /// Maximum time to receive a request body.
    pub body_timeout: HumanDuration,
    /// Minimum rate at which a request body must arrive, in any 5 s; 0 is none.
    pub min_body_bytes_per_second: usize,
    /// Maximum size of the queue, in bytes; when it is full, requests are refused and can be retried.
    pub max_queue_bytes: usize,
    /// Maximum size of a batch, in bytes before compression.
    pub max_batch_bytes: usize,
    /// Maximum number of spans, data points or log records in a batch.
    pub max_batch_items: usize,
    /// Maximum time a request waits for others to join its batch.
    pub batch_timeout: HumanDuration,
    /// Maximum time for the endpoint to answer a request.
    pub export_timeout: HumanDuration,
    /// Limits of the two listeners.
    pub limits: Limits,
    /// Proxies for the endpoint; no setting: the process reads them from its environment.
    #[serde(skip)]
    pub proxy: ProxySettings,
    /// Base URL of the ECS task metadata endpoint; no setting: the ECS agent passes it to each container.
    #[serde(skip)]
    pub metadata_uri: Option<String>,
    /// Memory of the process in bytes; no setting: the limit of the container, or else its least size.
    #[serde(skip, default = "least_memory")]
    pub memory_bytes: u64,
}

/// Compression of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Gzip.
    Gzip,
    /// No compression.
    None,
}

/// A parsed `endpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Telemetry is counted and discarded.
    Discard,
    /// A file of JSON lines.
    File(PathBuf),
    /// An OTLP/HTTP server, by its base URL.
    Http(Uri),
}

impl Config {
    /// Parses `endpoint`; an error completes the sentence "`endpoint` …".
    pub fn endpoint(&self) -> Result<Endpoint, &'static str> {
        if self.endpoint.is_empty() {
            return Ok(Endpoint::Discard);
        }
        if let Some(path) = self.endpoint.strip_prefix("file:") {
            // `file:///path` (RFC 8089) and `file:path` are both accepted.
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err("has no file name"),
                path => Ok(Endpoint::File(PathBuf::from(path))),
            };
        }

        let uri: Uri = self.endpoint.parse().map_err(|_| "is not a URL")?;
        let is_http = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        match (
            is_http,
            uri.host(),
            uri.path_and_query().and_then(PathAndQuery::query),
        ) {
            (false, ..) => Err("is neither http://, https:// nor file:"),
            (_, None | Some(""), _) => Err("has no host"),
            // `/v1/traces` is appended to the URL, so a query has no place in it.
            (.., Some(_)) => Err("contains a query"),
            (true, Some(_), None) => Ok(Endpoint::Http(uri)),
        }
    }

    /// Returns the memory for requests, from their first byte until they are sent on, in bytes.
    pub(crate) fn request_memory(&self) -> usize {
        // A batch of each signal is compressed while it is sent.
        let sending = 3 * self.max_batch_bytes as u64;
        let free = self.memory_bytes.saturating_sub(PROCESS_BYTES + sending);
        // With batches that large something must remain.
        free.max(self.memory_bytes / 4) as usize
    }

    /// Parses `headers`; an error is the position of the invalid part, counted from 1.
    pub fn header_pairs(&self) -> Result<Vec<(HeaderName, HeaderValue)>, usize> {
        let pairs = self
            .headers
            .expose()
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty());
        pairs
            .enumerate()
            .map(|(index, pair)| header(pair).ok_or(index + 1))
            .collect()
    }
}

fn header(pair: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = pair.split_once('=')?;
    let mut value = HeaderValue::from_bytes(&percent_decode(value.trim())?).ok()?;
    // Hides the value in debug output.
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }

        let mut digit = || {
            char::from(bytes.next()?)
                .to_digit(16)
                .map(|digit| digit as u8)
        };
        out.push(digit()? << 4 | digit()?);
    }

    Some(out)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 4318)),
            listen_grpc: SocketAddr::from((Ipv4Addr::LOCALHOST, 4317)),
            endpoint: String::new(),
            headers: Secret::new(String::new()),
            ca_file: String::new(),
            compression: Compression::Gzip,
            compression_level: 1,
            resource: BTreeMap::new(),
            max_body_bytes: 16 << 20,
            body_timeout: HumanDuration::from_secs(30),
            min_body_bytes_per_second: 1024,
            max_queue_bytes: 32 << 20,
            max_batch_bytes: 4 << 20,
            max_batch_items: 8192,
            batch_timeout: HumanDuration::from_millis(200),
            export_timeout: HumanDuration::from_secs(10),
            limits: Limits::default(),
            proxy: ProxySettings::none(),
            metadata_uri: None,
            memory_bytes: least_memory(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(message) = self.endpoint() {
            let hint = "use `https://host` or `file:/path`, or leave it empty to discard telemetry";
            problems.push(Problem::new("endpoint", message, hint));
        }

        if let Err(position) = self.header_pairs() {
            let message = format!("has an invalid part at position {position}");
            problems.push(Problem::new(
                "headers",
                message,
                "use `name=value,name=value`",
            ));
        }

        // zlib's levels; 0 would be "no compression", for which `compression` is the setting.
        if !(1..=9).contains(&self.compression_level) {
            let hint = "use a number from 1 to 9";
            problems.push(Problem::new("compression_level", "is out of range", hint));
        }

        if self.max_body_bytes > self.max_queue_bytes {
            let hint = "set it to at most `max_queue_bytes`";
            problems.push(Problem::new(
                "max_body_bytes",
                "is larger than the queue",
                hint,
            ));
        }

        let sizes = [
            ("max_body_bytes", self.max_body_bytes),
            ("max_batch_bytes", self.max_batch_bytes),
            ("max_batch_items", self.max_batch_items),
        ];

        for (setting, _) in sizes.into_iter().filter(|(_, size)| *size == 0) {
            problems.push(Problem::new(setting, "is 0", "set a positive number"));
        }
        problems
    }
}

/// The least memory of a container, `size` in `component.yaml`.
fn least_memory() -> u64 {
    64 << 20
}

/// The program, its threads, and the buffers of its connections.
const PROCESS_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Result<Endpoint, &'static str> {
        Config {
            endpoint: text.to_owned(),
            ..Config::default()
        }
        .endpoint()
    }

    #[test]
    fn parses_an_empty_endpoint_a_file_and_a_url() {
        assert_eq!(endpoint(""), Ok(Endpoint::Discard));
        assert_eq!(
            endpoint("file:/a/b.jsonl"),
            Ok(Endpoint::File("/a/b.jsonl".into()))
        );
        assert_eq!(
            endpoint("file:///a/b.jsonl"),
            Ok(Endpoint::File("/a/b.jsonl".into()))
        );
        let url = "https://example.test/otlp";
        assert_eq!(endpoint(url), Ok(Endpoint::Http(Uri::from_static(url))));
    }

    #[test]
    fn rejects_every_other_endpoint() {
        for text in [
            "file:",
            "localhost:4318",
            "ftp://a",
            "http://a/?b=c",
            "not a url",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn decodes_headers_and_hides_them_in_debug_output() {
        let headers = Secret::new("authorization=Bearer%20a%3D,x-scope=1".to_owned());
        let config = Config {
            headers,
            ..Config::default()
        };
        let pairs = config.header_pairs().unwrap();
        assert_eq!(pairs[0].1.as_bytes(), b"Bearer a=");
        assert!(pairs[0].1.is_sensitive());
        assert!(!format!("{config:?}").contains("Bearer"));
    }

    #[test]
    fn reports_the_position_of_an_invalid_header() {
        let config = Config {
            headers: Secret::new("a=1,b".to_owned()),
            ..Config::default()
        };
        assert_eq!(config.header_pairs().unwrap_err(), 2);
        assert_eq!(config.problems().len(), 1);
    }

    #[test]
    fn accepts_the_defaults() {
        assert!(Config::default().problems().is_empty());
    }
}
