//! What can be set.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use chassis::{
    Period, Problem, Secret, Settings,
    http::{Limits, Upstream, UpstreamLimits},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The settings of the proxy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address that takes TLS connections.
    pub listen: SocketAddr,
    /// Base address of the next hop, such as `http://127.0.0.1:8081`.
    #[schemars(url)]
    pub upstream: Option<String>,
    /// Certificate chain, leaf first: PEM, PEM with `\n` for line ends, or base64 of PEM. May hold the key too.
    pub certificate: Secret,
    /// Private key of the certificate, in the same forms; empty when `certificate` holds it.
    pub key: Secret,
    /// File with the certificate chain, instead of `certificate`.
    pub certificate_file: Option<PathBuf>,
    /// File with the private key; without it `certificate_file` must hold the key too.
    pub key_file: Option<PathBuf>,
    /// Lowest TLS version accepted: `1.2` or `1.3`.
    pub min_version: MinVersion,
    /// Pass on the `X-Forwarded-*` that arrive, with ours added; only behind a proxy that sets them.
    pub trust_forwarded: bool,
    /// Allow an `upstream` that is not on the loopback: what goes there is not encrypted.
    pub insecure_upstream: bool,
    /// How long a TLS handshake may take.
    pub handshake_limit: Period,
    /// Limits of the listener.
    pub limits: Limits,
    /// Limits of the next hop.
    pub upstream_limits: UpstreamLimits,
}

/// The lowest TLS version accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum MinVersion {
    /// TLS 1.2, for clients that are not of today.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 only.
    #[serde(rename = "1.3")]
    Tls13,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            upstream: None,
            certificate: Secret::default(),
            key: Secret::default(),
            certificate_file: None,
            key_file: None,
            min_version: MinVersion::default(),
            trust_forwarded: false,
            insecure_upstream: false,
            handshake_limit: Period::from_secs(10),
            limits: Limits::default(),
            upstream_limits: UpstreamLimits::default(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        [
            self.upstream_problem(),
            self.certificate_problem(),
            self.key_problem(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Config {
    fn upstream_problem(&self) -> Option<Problem> {
        let hint = "set the address of the next hop, such as http://127.0.0.1:8081";
        let Some(text) = &self.upstream else {
            return Some(Problem::new("upstream", "is required", hint));
        };
        match Upstream::new(text, self.upstream_limits.clone()) {
            Err(error) => Some(Problem::new(
                "upstream",
                format!("is not valid: {error}"),
                "",
            )),
            Ok(upstream)
                if !self.insecure_upstream && !is_loopback(upstream.authority().host()) =>
            {
                Some(Problem::new(
                    "upstream",
                    format!("`{text}` is not on the loopback, and nothing encrypts the way there"),
                    "use 127.0.0.1, or set `insecure_upstream` to `true`",
                ))
            }
            Ok(_) => None,
        }
    }

    fn certificate_problem(&self) -> Option<Problem> {
        match (self.certificate.is_empty(), &self.certificate_file) {
            (true, None) => Some(Problem::new(
                "certificate",
                "is required",
                "set it to PEM text, or set `certificate_file`",
            )),
            (false, Some(_)) => Some(Problem::new(
                "certificate_file",
                "is set together with `certificate`",
                "keep one of them",
            )),
            _ => None,
        }
    }

    fn key_problem(&self) -> Option<Problem> {
        let both = !self.key.is_empty() && self.key_file.is_some();
        both.then(|| Problem::new("key_file", "is set together with `key`", "keep one of them"))
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config {
            upstream: Some("http://127.0.0.1:8081".into()),
            certificate: Secret::new("pem"),
            ..Config::default()
        };
        change(&mut config);
        config
            .problems()
            .into_iter()
            .map(|problem| problem.setting)
            .collect()
    }

    #[test]
    fn says_everything_that_is_missing() {
        let settings: Vec<_> = Config::default()
            .problems()
            .into_iter()
            .map(|p| p.setting)
            .collect();
        assert_eq!(settings, ["upstream", "certificate"]);
    }

    #[test]
    fn accepts_a_whole_configuration() {
        assert!(problems(|_| {}).is_empty());
        assert!(problems(|config| config.upstream = Some("http://[::1]:80".into())).is_empty());
    }

    #[test]
    fn refuses_an_upstream_off_the_loopback_unless_told_that_it_is_insecure() {
        let remote = |config: &mut Config| config.upstream = Some("http://10.0.0.1:8081".into());
        assert_eq!(problems(remote), ["upstream"]);
        let allowed = problems(|config| {
            remote(config);
            config.insecure_upstream = true;
        });
        assert!(allowed.is_empty());
    }

    #[test]
    fn refuses_two_certificates_and_two_keys() {
        let found = problems(|config| {
            config.certificate_file = Some("a.pem".into());
            config.key = Secret::new("pem");
            config.key_file = Some("b.pem".into());
        });
        assert_eq!(found, ["certificate_file", "key_file"]);
    }
}
