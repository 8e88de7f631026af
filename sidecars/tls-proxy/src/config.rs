//! The settings and their validation.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use chassis::{
    HumanDuration, Problem, Secret, Settings,
    http::{Limits, Upstream, UpstreamLimits, UpstreamProtocol, is_loopback},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    identity::Allow,
    target::{Scheme, Target},
    tickets,
};

/// The settings of the proxy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch"
)]
pub struct Config {
    /// Address that accepts connections: TLS, or plain TCP in mode `originate`.
    pub listen: SocketAddr,
    /// What is forwarded: `http` requests or any `tcp` bytes after TLS is terminated; `originate` accepts plain bytes and sends them as TLS.
    pub mode: Mode,
    /// The next hop: `http://127.0.0.1:8081` in mode `http`, `tcp://127.0.0.1:5432` in mode `tcp`, `tls://db.example:5432` in mode `originate`.
    #[schemars(url)]
    pub upstream: Option<String>,
    /// Protocol of the next hop in mode `http`: `http1`, or `http2` without TLS, which gRPC needs.
    pub upstream_protocol: UpstreamProtocol,
    /// Certificate chain, leaf first: PEM, PEM with `\n` for line ends, base64 of PEM, or JSON that contains these. May include the key.
    pub certificate: Secret,
    /// Private key of the certificate, in the same forms; unset if `certificate` includes it.
    pub key: Secret,
    /// File with the certificate chain, instead of `certificate`.
    pub certificate_file: Option<PathBuf>,
    /// File with the private key; without it `certificate_file` must include the key.
    pub key_file: Option<PathBuf>,
    /// File with an OCSP response in DER, to be stapled to the certificate.
    pub ocsp_file: Option<PathBuf>,
    /// More certificates, chosen by server name: a list of objects with `certificate`, `key`, `certificate_file`, `key_file`, `ocsp_file`, `names`, `alpn`.
    pub certificates: Vec<ExtraCertificate>,
    /// For development: generate a certificate for `localhost` at the start, and write the certificate of its authority to this file.
    pub dev_ca_file: Option<PathBuf>,
    /// How often the files are checked for changes; `0s` disables the check.
    pub reload_interval: HumanDuration,
    /// Minimum TLS version: `1.2` or `1.3`.
    pub min_version: MinVersion,
    /// Protocols offered with ALPN, in order of preference; the default is `h2, http/1.1` in mode `http` and none otherwise.
    pub alpn: Vec<String>,
    /// Secret for session tickets, at least 32 characters; the same in every task, so that a session can be resumed at another task.
    pub ticket_key: Secret,
    /// Authorities of client certificates, as PEM; if set, clients are asked for a certificate (see `client_auth`).
    pub client_ca: Secret,
    /// File with the authorities of client certificates, instead of `client_ca`.
    pub client_ca_file: Option<PathBuf>,
    /// File with revocation lists of the authorities, as PEM.
    pub client_crl_file: Option<PathBuf>,
    /// Whether a client without a certificate is rejected (`required`) or accepted without an identity (`optional`).
    pub client_auth: ClientAuth,
    /// Client certificates that are accepted; if empty, all that an authority has signed.
    pub allow: Allow,
    /// File with the authorities of the next hop's certificate in mode `originate`, as PEM; the default is the public ones.
    pub upstream_ca_file: Option<PathBuf>,
    /// Server name in the next hop's certificate in mode `originate`, if it differs from the host of `upstream`.
    pub upstream_server_name: Option<String>,
    /// Value of `Strict-Transport-Security` in every response, such as `max-age=31536000; includeSubDomains`.
    pub hsts: Option<String>,
    /// Address of a plain HTTP listener that redirects to `https`.
    pub redirect_listen: Option<SocketAddr>,
    /// Port in the redirect.
    pub redirect_port: u16,
    /// Require a PROXY protocol header (version 1 or 2) before TLS, and trust the address in it.
    pub accept_proxy_protocol: bool,
    /// Send a PROXY protocol header to the next hop, in mode `tcp`; `v2` includes server name, ALPN and client certificate.
    pub send_proxy_protocol: SendProxyProtocol,
    /// Keep incoming `X-Forwarded-For`, `-Proto` and `-Host` and append to them; only behind a proxy that sets them.
    pub trust_forwarded: bool,
    /// Allow an `upstream` that is not on the loopback; traffic to it is not encrypted.
    pub insecure_upstream: bool,
    /// Allow a plain `listen` that is not on the loopback, in mode `originate`.
    pub insecure_listen: bool,
    /// How long a TLS handshake may take.
    pub handshake_timeout: HumanDuration,
    /// Maximum number of concurrent TLS handshakes, counted from the client's first message; further ones wait.
    pub max_handshakes: usize,
    /// Maximum number of open connections per client address; 0 is unlimited.
    pub max_connections_per_client: usize,
    /// How long a connection may stay open before it is asked to close; `0s` is unlimited.
    pub max_connection_age: HumanDuration,
    /// During a stop, how long to keep serving while `upstream` still accepts connections; part of `drain_timeout`.
    pub upstream_drain_timeout: HumanDuration,
    /// Share of requests or connections that are logged: 0 is none, 0.01 every hundredth, 1 all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub access_log: f64,
    /// Limits of the listener.
    pub limits: Limits,
    /// Limits of the next hop.
    pub upstream_limits: UpstreamLimits,
}

/// The mode of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// TLS in, HTTP requests out.
    #[default]
    Http,
    /// TLS in, the decrypted bytes out.
    Tcp,
    /// Bytes in, TLS out.
    Originate,
}

/// An additional certificate.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExtraCertificate {
    /// Like the setting of the same name.
    pub certificate: Secret,
    /// Like the setting of the same name.
    pub key: Secret,
    /// Like the setting of the same name.
    pub certificate_file: Option<PathBuf>,
    /// Like the setting of the same name.
    pub key_file: Option<PathBuf>,
    /// Like the setting of the same name.
    pub ocsp_file: Option<PathBuf>,
    /// Server names the certificate is for, `*.example.com` for one label; the default is the names in it.
    pub names: Vec<String>,
    /// Like the setting of the same name, for these names.
    pub alpn: Vec<String>,
}

/// The minimum TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum MinVersion {
    /// TLS 1.2, for old clients.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 only.
    #[serde(rename = "1.3")]
    Tls13,
}

/// The treatment of a client without a certificate, if there are authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// The client is rejected.
    #[default]
    Required,
    /// The client is accepted without an identity.
    Optional,
}

/// The PROXY protocol header sent to the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SendProxyProtocol {
    /// None.
    #[default]
    Off,
    /// A version 1 header, one line of text.
    V1,
    /// A version 2 header, binary, with the properties of the TLS connection.
    V2,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            mode: Mode::default(),
            upstream: None,
            upstream_protocol: UpstreamProtocol::default(),
            certificate: Secret::default(),
            key: Secret::default(),
            certificate_file: None,
            key_file: None,
            ocsp_file: None,
            certificates: Vec::new(),
            dev_ca_file: None,
            reload_interval: HumanDuration::from_secs(5),
            min_version: MinVersion::default(),
            alpn: Vec::new(),
            ticket_key: Secret::default(),
            client_ca: Secret::default(),
            client_ca_file: None,
            client_crl_file: None,
            client_auth: ClientAuth::default(),
            allow: Allow::default(),
            upstream_ca_file: None,
            upstream_server_name: None,
            hsts: None,
            redirect_listen: None,
            redirect_port: 443,
            accept_proxy_protocol: false,
            send_proxy_protocol: SendProxyProtocol::default(),
            trust_forwarded: false,
            insecure_upstream: false,
            insecure_listen: false,
            handshake_timeout: HumanDuration::from_secs(10),
            max_handshakes: 512,
            max_connections_per_client: 0,
            max_connection_age: HumanDuration::default(),
            upstream_drain_timeout: HumanDuration::default(),
            access_log: 0.0,
            limits: Limits::default(),
            upstream_limits: UpstreamLimits::default(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.upstream_problem());
        self.certificate_problems(&mut problems);
        self.mode_problems(&mut problems);
        self.client_problems(&mut problems);
        problems
    }
}

impl Config {
    /// Returns whether clients are asked for a certificate.
    pub(crate) fn asks_clients(&self) -> bool {
        !self.client_ca.is_empty() || self.client_ca_file.is_some()
    }

    /// Returns whether there is a main certificate; in mode `originate` it is the client certificate.
    pub(crate) fn has_certificate(&self) -> bool {
        !self.certificate.is_empty() || self.certificate_file.is_some()
    }

    /// Returns every file that is reloaded.
    pub(crate) fn files(&self) -> Vec<&Path> {
        let own = [
            &self.certificate_file,
            &self.key_file,
            &self.ocsp_file,
            &self.client_ca_file,
            &self.client_crl_file,
            &self.upstream_ca_file,
        ];

        let more = self.certificates.iter().flat_map(|extra| {
            [&extra.certificate_file, &extra.key_file, &extra.ocsp_file].into_iter()
        });
        let all = own.into_iter().chain(more);

        all.filter_map(|path| path.as_deref()).collect()
    }

    /// Returns the next hop of a TCP connection; `None` if it is invalid.
    pub(crate) fn target(&self) -> Option<Target> {
        Target::parse(self.upstream.as_deref()?).ok()
    }

    fn upstream_problem(&self) -> Option<Problem> {
        let (example, expected_scheme) = match self.mode {
            Mode::Http => ("http://127.0.0.1:8081", None),
            Mode::Tcp => ("tcp://127.0.0.1:5432", Some(Scheme::Tcp)),
            Mode::Originate => ("tls://db.example:5432", Some(Scheme::Tls)),
        };

        let hint = format!("set the address of the next hop, such as {example}");
        let Some(text) = &self.upstream else {
            return Some(Problem::new("upstream", "is required", hint));
        };
        let host = match expected_scheme {
            None => {
                let limits = self.upstream_limits.clone();
                Upstream::with_protocol(self.upstream_protocol, text, limits)
                    .map(|upstream| upstream.authority().host().to_owned())
                    .map_err(|error| error.to_string())
            }
            Some(expected) => match Target::parse(text) {
                Ok(target) if target.scheme == expected => Ok(target.host),
                _ => Err(format!("`{text}` is not like {example}")),
            },
        };

        match host {
            Err(error) => Some(Problem::new(
                "upstream",
                format!("is not valid: {error}"),
                hint,
            )),
            Ok(host)
                // In mode `originate` the next hop is remote by design, and TLS protects the way to it.
                if self.mode != Mode::Originate
                    && !self.insecure_upstream
                    && !is_loopback(&host) =>
            {
                Some(Problem::new(
                    "upstream",
                    format!("`{text}` is not on the loopback, and traffic to it is not encrypted"),
                    "use 127.0.0.1, or set `insecure_upstream` to `true`",
                ))
            }
            Ok(_) => None,
        }
    }

    fn certificate_problems(&self, problems: &mut Vec<Problem>) {
        let none = !self.has_certificate() && self.dev_ca_file.is_none();
        // In mode `originate` a certificate is for client authentication, and optional.
        if none && self.mode != Mode::Originate {
            problems.push(Problem::new(
                "certificate",
                "is required",
                "set it to PEM text, or set `certificate_file`; for development set `dev_ca_file`",
            ));
        }

        if self.dev_ca_file.is_some() && (self.has_certificate() || !self.certificates.is_empty()) {
            problems.push(Problem::new(
                "dev_ca_file",
                "is set together with a certificate",
                "keep one of them",
            ));
        }

        let own = CertificateSettings::from_config(self);
        for pair in std::iter::once(own).chain(CertificateSettings::extra(self)) {
            pair.problems(problems);
        }

        if self.client_ca_file.is_some() && !self.client_ca.is_empty() {
            problems.push(Problem::new(
                "client_ca_file",
                "is set together with `client_ca`",
                "keep one of them",
            ));
        }

        if let Err(reason) = tickets::validate_secret(&self.ticket_key) {
            problems.push(Problem::new(
                "ticket_key",
                reason,
                "make one with: openssl rand -hex 32",
            ));
        }
    }

    fn mode_problems(&self, problems: &mut Vec<Problem>) {
        // A setting without effect in this mode is more likely a mistake than a leftover.
        let mut require_mode = |is_set: bool, setting: &str, mode: Mode, name: &str| {
            if is_set && self.mode != mode {
                problems.push(Problem::new(
                    setting,
                    format!("is only for mode `{name}`"),
                    "remove it, or change `mode`",
                ));
            }
        };

        require_mode(self.hsts.is_some(), "hsts", Mode::Http, "http");
        require_mode(
            self.redirect_listen.is_some(),
            "redirect_listen",
            Mode::Http,
            "http",
        );

        let is_http2 = self.upstream_protocol == UpstreamProtocol::Http2;
        require_mode(is_http2, "upstream_protocol", Mode::Http, "http");
        let sends_header = self.send_proxy_protocol != SendProxyProtocol::Off;
        require_mode(sends_header, "send_proxy_protocol", Mode::Tcp, "tcp");

        let has_server_name = self.upstream_server_name.is_some();
        require_mode(
            has_server_name,
            "upstream_server_name",
            Mode::Originate,
            "originate",
        );
        let has_ca = self.upstream_ca_file.is_some();
        require_mode(has_ca, "upstream_ca_file", Mode::Originate, "originate");

        // Plain bytes from the network would be forwarded with the identity of this proxy.
        if self.mode == Mode::Originate && !self.listen.ip().is_loopback() && !self.insecure_listen
        {
            problems.push(Problem::new(
                "listen",
                format!("`{}` accepts plain bytes from other hosts", self.listen),
                "use 127.0.0.1, or set `insecure_listen` to `true`",
            ));
        }

        if let Some(hsts) = &self.hsts
            // RFC 6797 section 6.1.1: `max-age` is required.
            && !(hsts.starts_with("max-age=") && http::HeaderValue::from_str(hsts).is_ok())
        {
            problems.push(Problem::new(
                "hsts",
                "does not begin with `max-age=`",
                "write it as in RFC 6797: max-age=31536000; includeSubDomains",
            ));
        }

        if !(0.0..=1.0).contains(&self.access_log) {
            problems.push(Problem::new(
                "access_log",
                "is not a share",
                "write a number from 0 to 1",
            ));
        }
    }

    fn client_problems(&self, problems: &mut Vec<Problem>) {
        self.allow.problems(problems);
        let no_effect = |setting: &str| {
            let hint = "set `client_ca` or `client_ca_file`, or remove it";
            Problem::new(
                setting,
                "has no effect: no client is asked for a certificate",
                hint,
            )
        };

        if !self.asks_clients() || self.mode == Mode::Originate {
            if !self.allow.is_empty() {
                problems.push(no_effect("allow"));
            }
            if self.client_crl_file.is_some() {
                problems.push(no_effect("client_crl_file"));
            }

            if self.client_auth == ClientAuth::Optional {
                problems.push(no_effect("client_auth"));
            }
        }
    }
}

/// The settings of one certificate, the main one or an entry of `certificates`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateSettings<'a> {
    /// The index in `certificates`; `None` for the main certificate.
    pub(crate) index: Option<usize>,
    pub(crate) certificate: &'a Secret,
    pub(crate) key: &'a Secret,
    pub(crate) certificate_file: Option<&'a Path>,
    pub(crate) key_file: Option<&'a Path>,
    pub(crate) ocsp_file: Option<&'a Path>,
    pub(crate) names: &'a [String],
    pub(crate) alpn: &'a [String],
}

impl<'a> CertificateSettings<'a> {
    /// Returns the settings of the main certificate.
    pub(crate) fn from_config(config: &'a Config) -> Self {
        Self {
            index: None,
            certificate: &config.certificate,
            key: &config.key,
            certificate_file: config.certificate_file.as_deref(),
            key_file: config.key_file.as_deref(),
            ocsp_file: config.ocsp_file.as_deref(),
            names: &[],
            alpn: &config.alpn,
        }
    }

    /// Returns the settings of each entry of `certificates`.
    pub(crate) fn extra(config: &'a Config) -> impl Iterator<Item = Self> {
        config
            .certificates
            .iter()
            .enumerate()
            .map(|(index, certificate)| Self {
                index: Some(index),
                certificate: &certificate.certificate,
                key: &certificate.key,
                certificate_file: certificate.certificate_file.as_deref(),
                key_file: certificate.key_file.as_deref(),
                ocsp_file: certificate.ocsp_file.as_deref(),
                names: &certificate.names,
                alpn: if certificate.alpn.is_empty() {
                    &config.alpn
                } else {
                    &certificate.alpn
                },
            })
    }

    /// Returns the full name of a setting of this certificate.
    pub(crate) fn setting(&self, name: &str) -> String {
        match self.index {
            None => name.to_owned(),
            Some(index) => format!("certificates[{index}].{name}"),
        }
    }

    fn problems(&self, problems: &mut Vec<Problem>) {
        if self.certificate_file.is_some() && !self.certificate.is_empty() {
            problems.push(Problem::new(
                self.setting("certificate_file"),
                "is set together with `certificate`",
                "keep one of them",
            ));
        }

        if self.key_file.is_some() && !self.key.is_empty() {
            problems.push(Problem::new(
                self.setting("key_file"),
                "is set together with `key`",
                "keep one of them",
            ));
        }

        if self.index.is_some() && self.certificate_file.is_none() && self.certificate.is_empty() {
            problems.push(Problem::new(
                self.setting("certificate"),
                "is required",
                "set it to PEM text, or set `certificate_file` next to it",
            ));
        }

        // RFC 7301 section 3.1: a protocol name has 1 to 255 bytes.
        for alpn in self.alpn {
            if alpn.is_empty() || alpn.len() > 255 {
                problems.push(Problem::new(
                    self.setting("alpn"),
                    "has a name that is empty or longer than 255 bytes",
                    "use names of the IANA registry: h2, http/1.1",
                ));
            }
        }
    }
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
    fn reports_every_missing_setting() {
        let settings: Vec<_> = Config::default()
            .problems()
            .into_iter()
            .map(|p| p.setting)
            .collect();
        assert_eq!(settings, ["upstream", "certificate"]);
    }

    #[test]
    fn accepts_a_complete_configuration() {
        assert!(problems(|_| {}).is_empty());
        assert!(problems(|config| config.upstream = Some("http://[::1]:80".into())).is_empty());
    }

    #[test]
    fn rejects_an_upstream_off_the_loopback_without_insecure_upstream() {
        let remote = |config: &mut Config| config.upstream = Some("http://10.0.0.1:8081".into());
        assert_eq!(problems(remote), ["upstream"]);
        let allowed = problems(|config| {
            remote(config);
            config.insecure_upstream = true;
        });
        assert!(allowed.is_empty());
    }

    #[test]
    fn rejects_two_certificates_and_two_keys() {
        let found = problems(|config| {
            config.certificate_file = Some("a.pem".into());
            config.key = Secret::new("pem");
            config.key_file = Some("b.pem".into());
            // An entry without a certificate.
            config.certificates = vec![ExtraCertificate::default()];
        });

        let expected = [
            "certificate_file",
            "key_file",
            "certificates[0].certificate",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn each_mode_requires_its_form_of_upstream() {
        let found = |mode, upstream: &str| {
            problems(|config| {
                config.mode = mode;
                config.upstream = Some(upstream.into());
            })
        };

        assert!(found(Mode::Tcp, "tcp://127.0.0.1:5432").is_empty());
        assert!(found(Mode::Originate, "tls://db.example:5432").is_empty());
        assert_eq!(found(Mode::Tcp, "tcp://10.0.0.1:5432"), ["upstream"]);
        // The scheme of another mode, and an address without a port.
        assert_eq!(found(Mode::Tcp, "http://127.0.0.1:5432"), ["upstream"]);
        assert_eq!(found(Mode::Originate, "tcp://127.0.0.1:1"), ["upstream"]);
        assert_eq!(found(Mode::Tcp, "tcp://127.0.0.1"), ["upstream"]);
    }

    #[test]
    fn rejects_settings_of_other_modes() {
        let found = problems(|config| {
            config.mode = Mode::Tcp;
            config.upstream = Some("tcp://127.0.0.1:5432".into());
            // One setting of mode `http` and one of mode `originate`.
            config.hsts = Some("max-age=1".into());
            config.upstream_server_name = Some("db".into());
        });
        assert_eq!(found, ["hsts", "upstream_server_name"]);
        let found = problems(|config| config.send_proxy_protocol = SendProxyProtocol::V2);
        assert_eq!(found, ["send_proxy_protocol"]);
    }

    #[test]
    fn accepts_plain_bytes_from_the_loopback_only() {
        let originate = |config: &mut Config| {
            config.mode = Mode::Originate;
            config.upstream = Some("tls://db.example:5432".into());
            config.certificate = Secret::default();
        };

        assert!(problems(originate).is_empty());
        let not_loopback = problems(|config| {
            originate(config);
            config.listen = SocketAddr::from(([0, 0, 0, 0], 5432));
        });
        assert_eq!(not_loopback, ["listen"]);
    }

    #[test]
    fn rejects_client_rules_without_authorities() {
        let found = problems(|config| {
            config.allow.dns = vec!["a.example".into()];
            config.client_auth = ClientAuth::Optional;
        });
        assert_eq!(found, ["allow", "client_auth"]);
    }
}
