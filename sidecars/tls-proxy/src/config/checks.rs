//! The validation of the settings, in particular of those that depend on each other.

use chassis::{
    Problem, Settings,
    http::{Upstream, UpstreamProtocol, is_loopback},
};

use super::{CertificateSettings, Config, ForwardClientCertificate, Mode, SendProxyProtocol};
use crate::{
    target::{Scheme, Target},
    tickets,
};

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.upstream_problem());
        self.certificate_problems(&mut problems);
        self.mode_problems(&mut problems);
        self.value_problems(&mut problems);
        self.algorithm_problems(&mut problems);
        self.client_problems(&mut problems);
        problems
    }
}

impl Config {
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
                    .map_err(|error| error.reason())
            }
            Some(expected) => match Target::parse(text) {
                Ok(target) if target.scheme == expected => Ok(target.host),
                // Without the text, which may contain a password.
                _ => Err(format!("it is not like {example}")),
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
                    format!("`{host}` is not on the loopback, and traffic to it is not encrypted"),
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

        let websocket = self.websocket_over_http2;
        require_mode(websocket, "websocket_over_http2", Mode::Http, "http");
        let forwards_certificate = self.forward_client_certificate != ForwardClientCertificate::Off;
        let setting = "forward_client_certificate";
        require_mode(forwards_certificate, setting, Mode::Http, "http");

        let has_server_name = self.upstream_server_name.is_some();
        require_mode(
            has_server_name,
            "upstream_server_name",
            Mode::Originate,
            "originate",
        );
        let has_ca = self.upstream_ca_file.is_some();
        require_mode(has_ca, "upstream_ca_file", Mode::Originate, "originate");

        if websocket && is_http2 {
            problems.push(Problem::new(
                "websocket_over_http2",
                "has no effect with `upstream_protocol` `http2`: WebSockets are forwarded over HTTP/1.1",
                "remove one of them",
            ));
        }
    }

    fn value_problems(&self, problems: &mut Vec<Problem>) {
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

        if !self.proxy_protocol_sources.is_empty() && !self.accept_proxy_protocol {
            problems.push(Problem::new(
                "proxy_protocol_sources",
                "has no effect: no connection begins with a PROXY protocol header",
                "set `accept_proxy_protocol` to `true`, or remove it",
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
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::SocketAddr;

    use chassis::Secret;

    use super::*;
    use crate::ExtraCertificate;

    pub(in crate::config) fn problems(change: impl FnOnce(&mut Config)) -> Vec<String> {
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
        let found = problems(|config| {
            config.websocket_over_http2 = true;
            config.upstream_protocol = UpstreamProtocol::Http2;
        });
        assert_eq!(found, ["websocket_over_http2"]);
        let found = problems(|config| config.send_proxy_protocol = SendProxyProtocol::V2);
        assert_eq!(found, ["send_proxy_protocol"]);
    }

    #[test]
    fn rejects_settings_without_an_effect() {
        let found = problems(|config| {
            config.proxy_protocol_sources = vec!["10.0.0.0/16".parse().unwrap()];
            config.forward_client_certificate = ForwardClientCertificate::Xfcc;
        });
        assert_eq!(
            found,
            ["proxy_protocol_sources", "forward_client_certificate"]
        );
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
}
