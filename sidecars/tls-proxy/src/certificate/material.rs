//! All files and secrets, loaded together so that all errors are reported together.

use rustls::crypto::CryptoProvider;

use super::{
    ClientAuthorities, LoadedCertificate, SettingError, authorities::load_client_authorities,
    error::CertificateError, loaded_certificate::load_certificate,
};
use crate::{Config, config::CertificateSettings};

/// The loaded and validated files and secrets, before a configuration is built from them.
#[derive(Debug)]
pub(crate) struct Material {
    /// The certificates; the first is the default for clients with no or an unknown server name.
    pub(crate) certificates: Vec<LoadedCertificate>,
    /// The authorities of client certificates.
    pub(crate) clients: Option<ClientAuthorities>,
}

impl Material {
    /// Loads everything and reports all errors, not only the first.
    pub(crate) fn load(
        config: &Config,
        provider: &CryptoProvider,
    ) -> Result<Self, Vec<SettingError>> {
        let mut errors = Vec::new();
        let mut certificates = Vec::new();
        if config.has_certificate() {
            let own = CertificateSettings::from_config(config);
            let certificate = load_certificate(own, provider);
            certificates.extend(certificate.map_err(|found| errors.extend(found)));
        }

        for settings in CertificateSettings::extra(config) {
            let certificate = load_certificate(settings, provider);
            certificates.extend(certificate.map_err(|found| errors.extend(found)));
        }

        name_errors(&certificates, &mut errors);
        let clients = if config.asks_clients() {
            load_client_authorities(config)
                .map_err(|found| errors.extend(found))
                .ok()
        } else {
            None
        };

        if errors.is_empty() {
            Ok(Self {
                certificates,
                clients,
            })
        } else {
            Err(errors)
        }
    }
}

/// Reports certificates that cannot serve the same name beside each other.
fn name_errors(certificates: &[LoadedCertificate], errors: &mut Vec<SettingError>) {
    for (at, certificate) in certificates.iter().enumerate().skip(1) {
        let setting = format!("certificates[{}]", at - 1);
        let is_same_kind = |other: &LoadedCertificate| other.algorithm() == certificate.algorithm();
        for name in &certificate.names {
            let others = certificates[..at].iter().enumerate();
            let others: Vec<_> = others
                .filter(|(_, other)| other.names.contains(name))
                .collect();

            // The default certificate, at 0, may share names: an additional one takes precedence.
            let is_duplicate = others
                .iter()
                .any(|(index, other)| *index > 0 && is_same_kind(other));
            let has_other_alpn = others
                .iter()
                .any(|(_, other)| !is_same_kind(other) && other.alpn != certificate.alpn);
            let error = match (is_duplicate, has_other_alpn) {
                (true, _) => CertificateError::DuplicateName(name.clone()),
                (false, true) => CertificateError::OtherAlpn(name.clone()),
                (false, false) => continue,
            };
            errors.push(SettingError::new(setting.clone(), error));
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::{Problem, Secret};
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedKey as GeneratedKey, DnType, IsCa, Issuer,
        KeyPair, generate_simple_self_signed,
    };
    use serde_json::json;

    use super::*;
    use crate::ExtraCertificate;

    fn generate() -> (String, String) {
        let GeneratedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".into()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn load(certificate: &str, key: &str) -> Result<Material, String> {
        load_config(&Config {
            certificate: Secret::new(certificate),
            key: Secret::new(key),
            ..Config::default()
        })
    }

    fn load_config(config: &Config) -> Result<Material, String> {
        let result = Material::load(config, &rustls::crypto::aws_lc_rs::default_provider());
        result.map_err(|errors| {
            let problems = errors.into_iter().map(Problem::from);
            let messages = problems.map(|problem| {
                // Every error must say what to do.
                assert!(!problem.hint.is_empty());
                format!("{} {}", problem.setting, problem.message)
            });
            messages.collect::<Vec<_>>().join("; ")
        })
    }

    #[test]
    fn loads_a_key_beside_the_certificate_or_in_one_text_with_it() {
        let (certificate, key) = generate();
        assert!(load(&certificate, &key).is_ok());
        assert!(load(&format!("{certificate}{key}"), "").is_ok());
        assert!(load(&format!("{key}{certificate}"), "").is_ok());
    }

    #[test]
    fn orders_the_chain_of_a_json_secret_by_the_key() {
        let authority = |name: &str| {
            let mut params = CertificateParams::new([]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let keys: Vec<KeyPair> = (0..3).map(|_| KeyPair::generate().unwrap()).collect();
        let root = authority("root").self_signed(&keys[0]).unwrap();
        let issuer = Issuer::new(authority("root"), &keys[0]);
        let middle = authority("middle").signed_by(&keys[1], &issuer).unwrap();
        let issuer = Issuer::new(authority("middle"), &keys[1]);
        let leaf = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&keys[2], &issuer).unwrap();

        let (leaf, middle, root) = (leaf.pem(), middle.pem(), root.pem());
        let key = keys[2].serialize_pem();
        for secret in [
            // As Vault writes it, with sorted names; with names of certbot; the issuers alone reversed.
            json!({"ca_chain": [middle, root], "certificate": leaf, "issuing_ca": middle, "private_key": key}),
            json!({"cert": leaf, "chain": format!("{root}{middle}"), "fullchain": format!("{leaf}{middle}"), "privkey": key}),
            json!({"a": root, "b": middle, "c": leaf, "d": key}),
            json!({"PrivateKey": key, "CertificateChain": format!("{middle}{root}"), "Certificate": leaf}),
        ] {
            let material = load(&secret.to_string(), "").unwrap();
            let chain: Vec<String> = material.certificates[0]
                .certified
                .cert
                .iter()
                .map(|der| {
                    let (_, certificate) = x509_parser::parse_x509_certificate(der).unwrap();
                    certificate.subject().to_string()
                })
                .collect();
            assert_eq!(chain.len(), 3, "{secret}");
            assert!(
                chain[1].contains("middle") && chain[2].contains("root"),
                "{chain:?}"
            );
        }
    }

    #[test]
    fn refuses_the_key_of_another_certificate() {
        let (certificate, _) = generate();
        let other = KeyPair::generate().unwrap().serialize_pem();
        assert_eq!(
            load(&certificate, &other).unwrap_err(),
            "key does not match the certificate"
        );
    }

    #[test]
    fn reports_which_half_is_missing_and_in_which_setting() {
        let (certificate, key) = generate();
        assert_eq!(
            load(&certificate, "").unwrap_err(),
            "certificate contains no private key"
        );
        assert_eq!(
            load(&key, &key).unwrap_err(),
            "certificate contains no certificate"
        );

        assert_eq!(
            load(&certificate, &format!("{key}{key}")).unwrap_err(),
            "key contains 2 private keys"
        );
    }

    #[test]
    fn reports_all_errors_of_all_certificates() {
        let (certificate, key) = generate();
        let extra = |certificate: &str, key: &str, names: &[&str]| ExtraCertificate {
            certificate: Secret::new(certificate),
            key: Secret::new(key),
            names: names.iter().map(ToString::to_string).collect(),
            ..ExtraCertificate::default()
        };

        let config = Config {
            certificate: Secret::new("nonsense"),
            key: Secret::new(&*key),
            certificates: vec![
                extra(&certificate, "nonsense", &[]),
                extra(&certificate, &key, &["a b"]),
            ],
            // Errors of the authorities are reported together with those of the certificates.
            client_ca_file: Some("/nowhere/ca.pem".into()),
            client_crl_file: Some("/nowhere/crl.pem".into()),
            ..Config::default()
        };

        let found = load_config(&config).unwrap_err();
        for part in [
            "certificate is neither PEM nor base64 of PEM",
            "certificates[0].key is neither PEM",
            "certificates[1].names contains `a b`",
            "client_ca_file `/nowhere/ca.pem` cannot be read",
            "client_crl_file `/nowhere/crl.pem` cannot be read",
        ] {
            assert!(found.contains(part), "{part} is missing in {found}");
        }

        let duplicate = Config {
            certificate: Secret::new(&*certificate),
            key: Secret::new(&*key),
            certificates: vec![
                // The same name in another case.
                extra(&certificate, &key, &["A.example"]),
                extra(&certificate, &key, &["a.example"]),
            ],
            ..Config::default()
        };

        let found = load_config(&duplicate).unwrap_err();
        assert!(
            found.starts_with("certificates[1] has the name `a.example`"),
            "{found}"
        );
    }
}
