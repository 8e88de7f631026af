//! The validation of the settings of TLS: algorithms and client certificates.

use chassis::Problem;

use super::{CipherSuite, ClientAuth, Config, ForwardClientCertificate, MinVersion, Mode};
use crate::spiffe::is_trust_domain;

impl Config {
    fn spiffe_problems(&self, problems: &mut Vec<Problem>) {
        let has_client_ca = !self.client_ca.is_empty() || self.client_ca_file.is_some();
        if self.spiffe_bundle_file.is_some() && has_client_ca {
            problems.push(Problem::new(
                "spiffe_bundle_file",
                "is set together with `client_ca` or `client_ca_file`",
                "keep one of them",
            ));
        }

        match &self.spiffe_trust_domain {
            // A bundle does not name its trust domain, and its authorities can sign any identifier.
            None if self.spiffe_bundle_file.is_some() => problems.push(Problem::new(
                "spiffe_trust_domain",
                "is required with `spiffe_bundle_file`",
                "set the trust domain of the bundle, such as prod.example.com",
            )),
            Some(domain) if !is_trust_domain(domain) => problems.push(Problem::new(
                "spiffe_trust_domain",
                format!("`{domain}` is not a trust domain"),
                "write the name alone, in lower case: prod.example.com",
            )),
            _ => {}
        }
    }

    pub(super) fn algorithm_problems(&self, problems: &mut Vec<Problem>) {
        let suites = &self.cipher_suites;
        let has_tls13 = suites.iter().any(|suite| suite.is_tls13());
        if self.min_version == MinVersion::Tls13 && !suites.is_empty() && !has_tls13 {
            problems.push(Problem::new(
                "cipher_suites",
                "contains no suite of TLS 1.3, which `min_version` requires",
                "add TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384 or TLS_CHACHA20_POLY1305_SHA256",
            ));
        }

        let is_tls12 = |suite: &CipherSuite| !suite.is_tls13();
        let serves_tls12 = self.min_version == MinVersion::Tls12
            && (suites.is_empty() || suites.iter().any(is_tls12));
        let groups = &self.key_exchange_groups;
        // Without this, every TLS 1.2 client would fail in its handshake, although `min_version` admits it.
        if serves_tls12 && !groups.is_empty() && !groups.iter().any(|group| group.is_for_tls12()) {
            problems.push(Problem::new(
                "key_exchange_groups",
                "contains no group that TLS 1.2 can use",
                "add x25519, secp256r1 or secp384r1, or set `min_version` to 1.3",
            ));
        }
    }

    pub(super) fn client_problems(&self, problems: &mut Vec<Problem>) {
        self.allow.problems(problems);
        self.spiffe_problems(problems);
        let no_effect = |setting: &str| {
            let hint = "set `client_ca`, `client_ca_file` or `spiffe_bundle_file`, or remove it";
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
            if self.spiffe_trust_domain.is_some() {
                problems.push(no_effect("spiffe_trust_domain"));
            }
            if self.client_crl_file.is_some() {
                problems.push(no_effect("client_crl_file"));
            }

            if self.client_auth == ClientAuth::Optional {
                problems.push(no_effect("client_auth"));
            }
            if self.forward_client_certificate != ForwardClientCertificate::Off {
                problems.push(no_effect("forward_client_certificate"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::checks::tests::problems, *};
    use crate::KeyExchangeGroup;

    #[test]
    fn rejects_algorithms_that_no_client_can_use() {
        let found = problems(|config| {
            config.min_version = MinVersion::Tls13;
            config.cipher_suites = vec![CipherSuite::EcdsaAes128];
            config.key_exchange_groups = vec![KeyExchangeGroup::X25519MlKem768];
        });
        assert_eq!(found, ["cipher_suites"]);

        let hybrid_only = |config: &mut Config| {
            config.key_exchange_groups = vec![KeyExchangeGroup::X25519MlKem768];
        };
        assert_eq!(problems(hybrid_only), ["key_exchange_groups"]);
        // Without a suite of TLS 1.2, no client of TLS 1.2 needs a group.
        let tls13 = problems(|config| {
            hybrid_only(config);
            config.cipher_suites = vec![CipherSuite::Tls13Aes256];
        });
        assert!(tls13.is_empty());
    }

    #[test]
    fn a_spiffe_bundle_needs_its_trust_domain_and_no_other_authorities() {
        let bundle = |config: &mut Config| config.spiffe_bundle_file = Some("a.json".into());
        assert_eq!(problems(bundle), ["spiffe_trust_domain"]);
        let found = problems(|config| {
            bundle(config);
            config.client_ca_file = Some("ca.pem".into());
            config.spiffe_trust_domain = Some("spiffe://td".into());
        });
        assert_eq!(found, ["spiffe_bundle_file", "spiffe_trust_domain"]);
        let without_authorities = problems(|config| config.spiffe_trust_domain = Some("td".into()));
        assert_eq!(without_authorities, ["spiffe_trust_domain"]);
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
