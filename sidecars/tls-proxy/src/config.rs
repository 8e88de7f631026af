//! What can be set, and the rules across settings.

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
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Config {
    /// Address that takes connections: TLS, or plain TCP when `mode` is `originate`.
    pub listen: SocketAddr,
    /// What is carried: `http` requests, any `tcp` bytes, or, to `originate`, plain bytes that leave as TLS.
    pub mode: Mode,
    /// The next hop: `http://127.0.0.1:8081`, in mode `tcp` `tcp://127.0.0.1:5432`, in mode `originate` `tls://db.example:5432`.
    #[schemars(url)]
    pub upstream: Option<String>,
    /// What is spoken to the next hop in mode `http`: `http1`, or `http2` without TLS, as gRPC needs it.
    pub upstream_protocol: UpstreamProtocol,
    /// Certificate chain, leaf first: PEM, PEM with `\n` for line ends, base64 of PEM, or JSON with such texts. May hold the key too.
    pub certificate: Secret,
    /// Private key of the certificate, in the same forms; empty when `certificate` holds it.
    pub key: Secret,
    /// File with the certificate chain, instead of `certificate`.
    pub certificate_file: Option<PathBuf>,
    /// File with the private key; without it `certificate_file` must hold the key too.
    pub key_file: Option<PathBuf>,
    /// File with an OCSP response in DER, which is sent with the certificate.
    pub ocsp_file: Option<PathBuf>,
    /// More certificates, each for the names in it: a list of objects with `certificate`, `key`, `certificate_file`, `key_file`, `ocsp_file`, `names`, `alpn`.
    pub certificates: Vec<ExtraCertificate>,
    /// For development: make a certificate for `localhost` at the start, and write its authority's certificate to this file.
    pub dev_ca_file: Option<PathBuf>,
    /// How often files are looked at for a new certificate, authority or revocation list; `0s` is never.
    pub reload_interval: HumanDuration,
    /// Lowest TLS version accepted: `1.2` or `1.3`.
    pub min_version: MinVersion,
    /// Protocols offered by ALPN, best first; empty is `h2, http/1.1` in mode `http` and none otherwise.
    pub alpn: Vec<String>,
    /// A secret of 32 characters or more, the same in every task, so that a session begun at one is resumed at another.
    pub ticket_key: Secret,
    /// Authorities of client certificates, as PEM; with them a client must show a certificate.
    pub client_ca: Secret,
    /// File with the authorities of client certificates, instead of `client_ca`.
    pub client_ca_file: Option<PathBuf>,
    /// File with revocation lists of these authorities, as PEM.
    pub client_crl_file: Option<PathBuf>,
    /// Whether a client without a certificate is refused (`required`) or let through without a name (`optional`).
    pub client_auth: ClientAuth,
    /// Which client certificates are let in; empty is every one that an authority has signed.
    pub allow: Allow,
    /// Authorities the next hop's certificate must come from in mode `originate`, as PEM; empty is the public ones.
    pub upstream_ca_file: Option<PathBuf>,
    /// The name in the next hop's certificate in mode `originate`, where it is not the host of `upstream`.
    pub upstream_server_name: Option<String>,
    /// Value of `Strict-Transport-Security` in every answer, such as `max-age=31536000; includeSubDomains`.
    pub hsts: Option<String>,
    /// Address of a plain listener that sends everyone to `https`.
    pub redirect_listen: Option<SocketAddr>,
    /// The port clients are sent to.
    pub redirect_port: u16,
    /// Expect a PROXY protocol header (version 1 or 2) before TLS, and believe the address in it.
    pub accept_proxy_protocol: bool,
    /// Send a PROXY protocol header to the next hop, in mode `tcp`; `v2` also tells the names of TLS.
    pub send_proxy_protocol: SendProxyProtocol,
    /// Pass on the `X-Forwarded-For`, `-Proto` and `-Host` that arrive, with ours added; only behind a proxy that sets them.
    pub trust_forwarded: bool,
    /// Allow an `upstream` that is not on the loopback: what goes there is not encrypted.
    pub insecure_upstream: bool,
    /// Allow a plain `listen` that is not on the loopback, in mode `originate`.
    pub insecure_listen: bool,
    /// How long a TLS handshake may take.
    pub handshake_timeout: HumanDuration,
    /// TLS handshakes under way at once, from the client's first message on; more wait.
    pub max_handshakes: usize,
    /// Connections one client address may have open; 0 is as many as there are.
    pub max_connections_per_client: usize,
    /// How long a connection may live before it is asked to end; `0s` is for ever.
    pub max_connection_age: HumanDuration,
    /// At a stop, keep serving while something still accepts at `upstream`, at most this long of `drain_timeout`.
    pub upstream_drain_timeout: HumanDuration,
    /// Share of requests or connections that get a line in the log: 0 is none, 0.01 every hundredth, 1 all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub access_log: f64,
    /// Limits of the listener.
    pub limits: Limits,
    /// Limits of the next hop.
    pub upstream_limits: UpstreamLimits,
}

/// What is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// TLS in, HTTP requests out.
    #[default]
    Http,
    /// TLS in, the bytes inside out.
    Tcp,
    /// Bytes in, TLS out.
    Originate,
}

/// One more certificate.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExtraCertificate {
    /// As the setting of the same name.
    pub certificate: Secret,
    /// As the setting of the same name.
    pub key: Secret,
    /// As the setting of the same name.
    pub certificate_file: Option<PathBuf>,
    /// As the setting of the same name.
    pub key_file: Option<PathBuf>,
    /// As the setting of the same name.
    pub ocsp_file: Option<PathBuf>,
    /// The names it is shown for, `*.example.com` for one label; empty is those in it.
    pub names: Vec<String>,
    /// As the setting of the same name, for these names.
    pub alpn: Vec<String>,
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

/// What becomes of a client without a certificate, where there are authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// It is refused.
    #[default]
    Required,
    /// It is let through, without a name.
    Optional,
}

/// The PROXY protocol header sent to the next hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SendProxyProtocol {
    /// None.
    #[default]
    Off,
    /// The line of version 1.
    V1,
    /// The block of version 2, with what is known of TLS.
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
    /// Whether clients are asked for a certificate.
    pub(crate) fn asks_clients(&self) -> bool {
        !self.client_ca.is_empty() || self.client_ca_file.is_some()
    }

    /// Whether there is a certificate to show, or for `originate` one to show to the next hop.
    pub(crate) fn has_certificate(&self) -> bool {
        !self.certificate.is_empty() || self.certificate_file.is_some()
    }

    /// Every file whose change means something.
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

    /// The next hop of a raw connection, as far as it can be read.
    pub(crate) fn target(&self) -> Option<Target> {
        Target::parse(self.upstream.as_deref()?).ok()
    }

    fn upstream_problem(&self) -> Option<Problem> {
        let (example, expected) = match self.mode {
            Mode::Http => ("http://127.0.0.1:8081", None),
            Mode::Tcp => ("tcp://127.0.0.1:5432", Some(Scheme::Tcp)),
            Mode::Originate => ("tls://db.example:5432", Some(Scheme::Tls)),
        };

        let hint = format!("set the address of the next hop, such as {example}");
        let Some(text) = &self.upstream else {
            return Some(Problem::new("upstream", "is required", hint));
        };
        let host = match expected {
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
                if self.mode != Mode::Originate
                    && !self.insecure_upstream
                    && !is_loopback(&host) =>
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

    fn certificate_problems(&self, problems: &mut Vec<Problem>) {
        let none = !self.has_certificate() && self.dev_ca_file.is_none();
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
        let mut only = |is_set: bool, setting: &str, mode: Mode, word: &str| {
            if is_set && self.mode != mode {
                problems.push(Problem::new(
                    setting,
                    format!("is only for mode `{word}`"),
                    "leave it out, or change `mode`",
                ));
            }
        };

        only(self.hsts.is_some(), "hsts", Mode::Http, "http");
        only(
            self.redirect_listen.is_some(),
            "redirect_listen",
            Mode::Http,
            "http",
        );

        let h2 = self.upstream_protocol == UpstreamProtocol::Http2;
        only(h2, "upstream_protocol", Mode::Http, "http");
        let sends = self.send_proxy_protocol != SendProxyProtocol::Off;
        only(sends, "send_proxy_protocol", Mode::Tcp, "tcp");

        let name = self.upstream_server_name.is_some();
        only(name, "upstream_server_name", Mode::Originate, "originate");
        let ca = self.upstream_ca_file.is_some();
        only(ca, "upstream_ca_file", Mode::Originate, "originate");

        if self.mode == Mode::Originate && !self.listen.ip().is_loopback() && !self.insecure_listen
        {
            problems.push(Problem::new(
                "listen",
                format!("`{}` takes plain bytes from other machines", self.listen),
                "use 127.0.0.1, or set `insecure_listen` to `true`",
            ));
        }

        if let Some(hsts) = &self.hsts
            && !(hsts.starts_with("max-age=") && http::HeaderValue::from_str(hsts).is_ok())
        {
            problems.push(Problem::new(
                "hsts",
                "does not begin with `max-age=`",
                "write it as RFC 6797 has it: max-age=31536000; includeSubDomains",
            ));
        }

        if !(0.0..=1.0).contains(&self.access_log) {
            problems.push(Problem::new(
                "access_log",
                "is no share",
                "write a number from 0 to 1",
            ));
        }
    }

    fn client_problems(&self, problems: &mut Vec<Problem>) {
        self.allow.problems(problems);
        let without = |setting: &str| {
            let hint = "set `client_ca` or `client_ca_file`, or leave it out";
            Problem::new(
                setting,
                "has no effect: no client is asked for a certificate",
                hint,
            )
        };

        if !self.asks_clients() || self.mode == Mode::Originate {
            if !self.allow.is_empty() {
                problems.push(without("allow"));
            }
            if self.client_crl_file.is_some() {
                problems.push(without("client_crl_file"));
            }

            if self.client_auth == ClientAuth::Optional {
                problems.push(without("client_auth"));
            }
        }
    }
}

/// The settings of one certificate, wherever they stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateSettings<'a> {
    /// Where it is in the list, if it is there.
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

    /// A setting of this certificate by its whole name.
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
                "set it to PEM text, or set `certificate_file` beside it",
            ));
        }

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
    fn each_mode_has_its_own_form_of_upstream() {
        let found = |mode, upstream: &str| {
            problems(|config| {
                config.mode = mode;
                config.upstream = Some(upstream.into());
            })
        };

        assert!(found(Mode::Tcp, "tcp://127.0.0.1:5432").is_empty());
        assert!(found(Mode::Originate, "tls://db.example:5432").is_empty());
        assert_eq!(found(Mode::Tcp, "tcp://10.0.0.1:5432"), ["upstream"]);
        assert_eq!(found(Mode::Tcp, "http://127.0.0.1:5432"), ["upstream"]);
        assert_eq!(found(Mode::Originate, "tcp://127.0.0.1:1"), ["upstream"]);
        assert_eq!(found(Mode::Tcp, "tcp://127.0.0.1"), ["upstream"]);
    }

    #[test]
    fn refuses_what_the_mode_has_no_use_for() {
        let found = problems(|config| {
            config.mode = Mode::Tcp;
            config.upstream = Some("tcp://127.0.0.1:5432".into());
            config.hsts = Some("max-age=1".into());
            config.upstream_server_name = Some("db".into());
        });
        assert_eq!(found, ["hsts", "upstream_server_name"]);
        let found = problems(|config| config.send_proxy_protocol = SendProxyProtocol::V2);
        assert_eq!(found, ["send_proxy_protocol"]);
    }

    #[test]
    fn takes_plain_bytes_from_the_loopback_only() {
        let originate = |config: &mut Config| {
            config.mode = Mode::Originate;
            config.upstream = Some("tls://db.example:5432".into());
            config.certificate = Secret::default();
        };

        assert!(problems(originate).is_empty());
        let open = problems(|config| {
            originate(config);
            config.listen = SocketAddr::from(([0, 0, 0, 0], 5432));
        });
        assert_eq!(open, ["listen"]);
    }

    #[test]
    fn says_when_a_rule_about_clients_could_not_work() {
        let found = problems(|config| {
            config.allow.dns = vec!["a.example".into()];
            config.client_auth = ClientAuth::Optional;
        });
        assert_eq!(found, ["allow", "client_auth"]);
    }
}
