//! The settings, and what `endpoint` and `headers` mean.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use chassis::http::Limits;
use chassis::{Period, Problem, Secret, Settings};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that can be set.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where OTLP over HTTP is received; gRPC is understood there too.
    pub listen: SocketAddr,
    /// Where OTLP over gRPC is received; HTTP is understood there too.
    pub listen_grpc: SocketAddr,
    /// Where telemetry goes: a base URL (`https://host`, `/v1/traces` is appended), `file:PATH` for
    /// a line of JSON per batch, or nothing to count and discard.
    pub endpoint: String,
    /// Headers of every request to the endpoint: `name=value,name=value`, values percent-encoded.
    pub headers: Secret,
    /// PEM file of the certificate authorities to trust instead of the built-in ones.
    pub ca_file: String,
    /// How requests to the endpoint are compressed.
    pub compression: Compression,
    /// How hard gzip tries, from 1 (fast) to 9 (small).
    #[schemars(range(min = 1, max = 9))]
    pub compression_level: u32,
    /// Resource attributes added to everything that does not have them.
    pub resource: BTreeMap<String, String>,
    /// Largest request received, in bytes, compressed or not.
    pub max_body_bytes: usize,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Period,
    /// How many bytes wait for the endpoint at most; beyond, senders are told to come again.
    pub max_queue_bytes: usize,
    /// Largest request sent, in bytes before compression.
    pub max_batch_bytes: usize,
    /// Most spans, points or records in a request sent.
    pub max_batch_items: usize,
    /// How long the first of a batch waits for company.
    pub batch_timeout: Period,
    /// How long the endpoint may take to answer one request.
    pub export_timeout: Period,
    /// Limits of the two listeners.
    pub limits: Limits,
}

/// How a request body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// With gzip.
    Gzip,
    /// Not at all.
    None,
}

/// What `endpoint` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Nothing: telemetry is counted and let go.
    Discard,
    /// A file of JSON lines.
    File(PathBuf),
    /// An OTLP/HTTP server, by its base URL.
    Http(Uri),
}

impl Config {
    /// What `endpoint` names, or why it names nothing.
    pub fn endpoint(&self) -> Result<Endpoint, &'static str> {
        if self.endpoint.is_empty() {
            return Ok(Endpoint::Discard);
        }
        if let Some(path) = self.endpoint.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err("names no file"),
                path => Ok(Endpoint::File(PathBuf::from(path))),
            };
        }

        let uri: Uri = self.endpoint.parse().map_err(|_| "is not a URL")?;
        let known = [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
        match (
            known,
            uri.host(),
            uri.path_and_query().and_then(PathAndQuery::query),
        ) {
            (false, ..) => Err("is neither http://, https:// nor file:"),
            (_, None | Some(""), _) => Err("names no host"),
            (.., Some(_)) => Err("has a query"),
            (true, Some(_), None) => Ok(Endpoint::Http(uri)),
        }
    }

    /// The headers of every request to the endpoint; on failure the part that is wrong, by
    /// position.
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
            body_timeout: Period::from_secs(30),
            max_queue_bytes: 32 << 20,
            max_batch_bytes: 4 << 20,
            max_batch_items: 8192,
            batch_timeout: Period::from_millis(200),
            export_timeout: Period::from_secs(10),
            limits: Limits::default(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Err(fault) = self.endpoint() {
            let hint = "write `https://host`, `file:/path` or leave it empty to discard";
            problems.push(Problem::new("endpoint", fault, hint));
        }

        if let Err(position) = self.header_pairs() {
            let fault = format!("has a mistake in part {position}");
            problems.push(Problem::new(
                "headers",
                fault,
                "write `name=value,name=value`",
            ));
        }

        if !(1..=9).contains(&self.compression_level) {
            let hint = "choose a number from 1 to 9";
            problems.push(Problem::new("compression_level", "is out of range", hint));
        }

        if self.max_body_bytes > self.max_queue_bytes {
            let hint = "make it at most `max_queue_bytes`, or such requests never fit the queue";
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
    fn an_endpoint_is_nothing_a_file_or_a_url() {
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
    fn anything_else_is_a_problem() {
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
    fn headers_are_percent_decoded_and_never_shown() {
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
    fn a_wrong_header_is_named_by_its_position() {
        let config = Config {
            headers: Secret::new("a=1,b".to_owned()),
            ..Config::default()
        };
        assert_eq!(config.header_pairs().unwrap_err(), 2);
        assert_eq!(config.problems().len(), 1);
    }

    #[test]
    fn the_defaults_have_no_problem() {
        assert!(Config::default().problems().is_empty());
    }
}
