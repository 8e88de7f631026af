//! Which certificates serve a name: one of each kind of key.

use std::{collections::HashMap, sync::Arc};

use rustls::{
    SignatureAlgorithm,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::certificate::LoadedCertificate;

/// The indexes of the certificates of a name, each with another kind of key.
pub(super) type Alternatives = Vec<usize>;

/// The certificates by name.
#[derive(Debug, Default)]
pub(super) struct CertificateNames {
    /// For clients with no or an unknown server name.
    pub(super) default: Alternatives,
    pub(super) exact: HashMap<String, Alternatives>,
    /// By the name after `*.`.
    pub(super) wildcards: HashMap<String, Alternatives>,
}

impl CertificateNames {
    /// Groups the certificates, of which the first is the default.
    pub(super) fn new(certificates: &[LoadedCertificate]) -> Self {
        let mut names = Self::default();
        if certificates.is_empty() {
            return names;
        }

        // The additional certificates come before the default one, which is first: they are more specific.
        for at in (1..certificates.len()).chain([0]) {
            for name in &certificates[at].names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut names.wildcards, parent),
                    None => (&mut names.exact, name.as_str()),
                };
                let alternatives = map.entry(name.to_owned()).or_default();
                add(alternatives, at, certificates);
            }
        }

        names.default.push(0);
        for at in 1..certificates.len() {
            let default = &certificates[0].names;
            if certificates[at]
                .names
                .iter()
                .any(|name| default.contains(name))
            {
                add(&mut names.default, at, certificates);
            }
        }
        names
    }
}

/// Adds a certificate, unless one with the same kind of key is there.
fn add(alternatives: &mut Alternatives, at: usize, certificates: &[LoadedCertificate]) {
    let algorithm = certificates[at].algorithm();
    if alternatives
        .iter()
        .all(|other| certificates[*other].algorithm() != algorithm)
    {
        alternatives.push(at);
    }
}

/// Selects the certificate by the kinds of signatures that the client can verify.
#[derive(Debug)]
pub(super) struct KeyKindResolver(Vec<Arc<CertifiedKey>>);

impl KeyKindResolver {
    /// Creates a resolver that prefers ECDSA: its signatures cost a fraction of those of RSA.
    pub(super) fn new(certificates: &[&LoadedCertificate]) -> Self {
        let mut keys: Vec<_> = certificates
            .iter()
            .map(|certificate| Arc::clone(&certificate.certified))
            .collect();
        keys.sort_by_key(|certified| match certified.key.algorithm() {
            SignatureAlgorithm::ECDSA => 0,
            SignatureAlgorithm::ED25519 => 1,
            _ => 2,
        });
        Self(keys)
    }
}

impl ResolvesServerCert for KeyKindResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls has removed the schemes that no common cipher suite of TLS 1.2 can use.
        let offered = hello.signature_schemes();
        let fits = |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(offered).is_some();
        // If none fits, rustls reports for the last one that there is no common scheme.
        let chosen = self.0.iter().find(fits).or(self.0.last());
        chosen.cloned()
    }
}
