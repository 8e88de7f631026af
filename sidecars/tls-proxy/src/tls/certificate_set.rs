//! The certificates in use: one configuration each, chosen by server name.

use std::{collections::HashMap, fmt, sync::Arc};

use rustls::{
    CipherSuite, Error as TlsError, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::ProducesTickets,
    sign::SingleCertAndKey,
};

use super::{
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
        let provider = provider();
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

        let mut all_configs = Vec::with_capacity(material.certificates.len());
        for certificate in &material.certificates {
            let mut server_config =
                build_config(config, certificate, &provider, verifier.as_ref())?;
            // Without a ticketer TLS 1.2 clients could not resume sessions.
            server_config.ticketer = Arc::clone(&ticketer);
            all_configs.push(ServerConfigs::new(server_config));
        }

        let Some(default) = all_configs.first().cloned() else {
            let error = CertificateError::NoCertificate;
            return Err(vec![SettingError::new("certificate", error)]);
        };
        let (exact, wildcards) = index_by_name(&material.certificates, &all_configs);

        Ok(Self {
            default,
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
        // With a single name the certificate is the default in any case.
        if self.exact.len() + self.wildcards.len() < 2 {
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
    fn new(mut config: ServerConfig) -> Self {
        let client_order = Arc::new(config.clone());
        config.ignore_client_order = true;
        Self {
            server_order: config.into(),
            client_order,
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
    certificate: &LoadedCertificate,
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

    let certified = SingleCertAndKey::from(Arc::clone(&certificate.certified));
    let mut server_config = builder.with_cert_resolver(Arc::new(certified));
    server_config.alpn_protocols = match config.mode {
        _ if !certificate.alpn.is_empty() => certificate.alpn.clone(),
        Mode::Http => vec![H2.to_vec(), b"http/1.1".to_vec()],
        // The protocol inside TLS is unknown.
        Mode::Tcp | Mode::Originate => Vec::new(),
    };

    // A ticket should be used once (RFC 8446 appendix C.4); a resumed session gets a new one.
    server_config.send_tls13_tickets = 1;
    Ok(server_config)
}

/// Returns the configurations by exact name, and those of wildcards by the name after `*.`.
fn index_by_name(
    certificates: &[LoadedCertificate],
    all_configs: &[ServerConfigs],
) -> (ConfigsByName, ConfigsByName) {
    let (mut exact, mut wildcards) = (HashMap::new(), HashMap::new());
    // In reverse, so that the additional certificates win over the default one, which is first: they are
    // more specific.
    for (certificate, configs) in certificates.iter().zip(all_configs).rev() {
        for name in &certificate.names {
            let (map, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut wildcards, parent),
                None => (&mut exact, name.as_str()),
            };
            map.entry(name.to_owned())
                .or_insert_with(|| configs.clone());
        }
    }

    (exact, wildcards)
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
