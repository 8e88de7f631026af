//! The certificates in use: one configuration each, chosen by server name.

use std::{collections::HashMap, fmt, sync::Arc};

use rustls::{
    CipherSuite, Error as TlsError, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::ProducesTickets,
};

use super::{
    certificate_names::{Alternatives, CertificateNames, KeyKindResolver},
    client_auth::{AllowListVerifier, build_verifier},
    fingerprint::{fingerprint, fingerprint_of_clients},
    provider::{CHACHA20, H2, provider, versions},
};
use crate::{
    Config,
    certificate::{CertificateError, LoadedCertificate, Material, SettingError},
    config::Mode,
    tickets::SharedTickets,
};

/// The certificates in use, with everything derived from them.
pub(crate) struct CertificateSet {
    default: ServerConfigs,
    /// Whether there is a choice between certificates by name.
    has_names: bool,
    exact: ConfigsByName,
    /// By the name after `*.`.
    wildcards: ConfigsByName,
    ticketer: Arc<dyn ProducesTickets>,
    /// Of all files and secrets; `clients` only of the rules for clients.
    pub(super) fingerprint: [u8; 32],
    clients: [u8; 32],
    /// First name and expiry of each certificate.
    pub(crate) expirations: Vec<(String, i64)>,
}

impl CertificateSet {
    /// Builds all configurations; the tickets of `before` stay valid if the rules for clients are the same.
    pub(crate) fn new(
        config: &Config,
        material: &Material,
        before: Option<&Self>,
    ) -> Result<Self, Vec<SettingError>> {
        let provider = provider(config);
        // Seeding the random number generator may be slow; the first client must not wait for it.
        let random = provider.secure_random.fill(&mut [0; 32]);
        random.map_err(|error| unusable("certificate", error.into()))?;

        let clients = fingerprint_of_clients(config, material.clients.as_ref());
        let same = before.filter(|before| before.clients == clients);
        let ticketer = choose_ticketer(config, clients, same)?;
        let verifier = material
            .clients
            .as_ref()
            .map(|clients| build_verifier(config, clients, &provider))
            .transpose()?;

        if material.certificates.is_empty() {
            let error = CertificateError::NoCertificate;
            return Err(vec![SettingError::new("certificate", error)]);
        }
        let names = CertificateNames::new(&material.certificates);
        let mut built: HashMap<Alternatives, ServerConfigs> = HashMap::new();
        let mut configs_for = |alternatives: Alternatives| -> Result<_, Vec<SettingError>> {
            if let Some(configs) = built.get(&alternatives) {
                return Ok(configs.clone());
            }
            let certificates = alternatives.iter().map(|at| &material.certificates[*at]);
            let certificates: Vec<&LoadedCertificate> = certificates.collect();
            let mut server_config =
                build_config(config, &certificates, &provider, verifier.as_ref())?;
            // Without a ticketer TLS 1.2 clients could not resume sessions.
            server_config.ticketer = Arc::clone(&ticketer);
            let configs = ServerConfigs::new(server_config, config);
            built.insert(alternatives, configs.clone());
            Ok(configs)
        };

        let default = configs_for(names.default)?;
        let mut all = |names: HashMap<String, Alternatives>| {
            let names = names.into_iter();
            names
                .map(|(name, alternatives)| Ok((name, configs_for(alternatives)?)))
                .collect::<Result<ConfigsByName, Vec<SettingError>>>()
        };
        let (exact, wildcards) = (all(names.exact)?, all(names.wildcards)?);

        Ok(Self {
            default,
            has_names: material.certificates.len() > 1,
            exact,
            wildcards,
            ticketer,
            fingerprint: fingerprint(material, clients),
            clients,
            expirations: material
                .certificates
                .iter()
                .filter_map(expiration)
                .collect(),
        })
    }

    /// Returns the configurations for a server name.
    pub(super) fn choose(&self, name: Option<&str>) -> &ServerConfigs {
        if !self.has_names {
            return &self.default;
        }
        let Some(name) = name.map(str::to_ascii_lowercase) else {
            return &self.default;
        };
        let parent = || self.wildcards.get(name.split_once('.')?.1);
        let found = self.exact.get(&name).or_else(parent);
        found.unwrap_or(&self.default)
    }
}

impl fmt::Debug for CertificateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateSet")
            .field("expirations", &self.expirations)
            .finish_non_exhaustive()
    }
}

/// The configurations of one certificate, with two preferences of cipher suites.
#[derive(Clone)]
pub(super) struct ServerConfigs {
    /// Server preference: AES-128 first.
    server_order: Arc<ServerConfig>,
    /// Client preference, for clients without AES instructions, which offer ChaCha20 first.
    client_order: Arc<ServerConfig>,
}

impl ServerConfigs {
    fn new(mut server_config: ServerConfig, config: &Config) -> Self {
        let client_order = Arc::new(server_config.clone());
        server_config.ignore_client_order = true;
        let server_order = Arc::new(server_config);
        Self {
            // The order of `cipher_suites` is that of the settings for every client.
            client_order: if config.cipher_suites.is_empty() {
                client_order
            } else {
                Arc::clone(&server_order)
            },
            server_order,
        }
    }

    pub(super) fn for_suites(&self, offered: &[CipherSuite]) -> &Arc<ServerConfig> {
        // Clients may offer a GREASE value first (RFC 8701).
        let first = offered.iter().find(|suite| suite.as_str().is_some());
        if first.is_some_and(|suite| CHACHA20.contains(suite)) {
            &self.client_order
        } else {
            &self.server_order
        }
    }
}

/// Returns the encryption of session tickets; `same` has the same rules for clients.
fn choose_ticketer(
    config: &Config,
    clients: [u8; 32],
    same: Option<&CertificateSet>,
) -> Result<Arc<dyn ProducesTickets>, Vec<SettingError>> {
    if !config.ticket_key.is_empty() {
        return Ok(Arc::new(SharedTickets::new(&config.ticket_key, clients)));
    }

    // Without `ticket_key`, tickets are valid in this process only and end with the rules for clients.
    match same {
        Some(before) => Ok(Arc::clone(&before.ticketer)),
        None => aws_lc_rs::Ticketer::new().map_err(|error| unusable("certificate", error)),
    }
}

fn build_config(
    config: &Config,
    certificates: &[&LoadedCertificate],
    provider: &Arc<CryptoProvider>,
    verifier: Option<&Arc<AllowListVerifier>>,
) -> Result<ServerConfig, Vec<SettingError>> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions(config.min_version))
        .map_err(|error| unusable("min_version", error))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier) as _),
        None => builder.with_no_client_auth(),
    };

    let resolver = KeyKindResolver::new(certificates);
    let mut server_config = builder.with_cert_resolver(Arc::new(resolver));
    // All certificates of a name have the same protocols.
    let alpn = certificates
        .first()
        .map_or(&[][..], |certificate| &certificate.alpn);
    server_config.alpn_protocols = match config.mode {
        _ if !alpn.is_empty() => alpn.to_vec(),
        Mode::Http => vec![H2.to_vec(), b"http/1.1".to_vec()],
        // The protocol inside TLS is unknown.
        Mode::Tcp | Mode::Originate => Vec::new(),
    };

    // A ticket should be used once (RFC 8446 appendix C.4); a resumed session gets a new one.
    server_config.send_tls13_tickets = 1;
    Ok(server_config)
}

fn unusable(setting: &str, error: TlsError) -> Vec<SettingError> {
    let error = CertificateError::Unusable(error.to_string());
    vec![SettingError::new(setting, error)]
}

fn expiration(certificate: &LoadedCertificate) -> Option<(String, i64)> {
    let name = certificate
        .names
        .first()
        .map_or("(no name)", String::as_str);
    Some((name.to_owned(), certificate.not_after?))
}

type ConfigsByName = HashMap<String, ServerConfigs>;
