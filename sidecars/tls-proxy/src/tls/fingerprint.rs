//! Fingerprints of certificates and of the rules for clients, to detect changes.

use aws_lc_rs::digest::{Context, SHA256};

use crate::{
    Config,
    certificate::{ClientAuthorities, Material},
};

pub(super) fn fingerprint(material: &Material, clients: [u8; 32]) -> [u8; 32] {
    let mut sum = Context::new(&SHA256);
    sum.update(&clients);
    for certificate in &material.certificates {
        for der in &certificate.certified.cert {
            sum.update(der);
        }
        sum.update(&certificate.secret);
        sum.update(certificate.certified.ocsp.as_deref().unwrap_or_default());
    }
    finish(sum)
}

pub(super) fn fingerprint_of_clients(
    config: &Config,
    clients: Option<&ClientAuthorities>,
) -> [u8; 32] {
    let mut sum = Context::new(&SHA256);
    if let Some(clients) = clients {
        let domain = &config.spiffe_trust_domain;
        let rules = format!("{:?} {:?} {domain:?}", config.client_auth, config.allow);
        sum.update(rules.as_bytes());
        for authority in &clients.authorities {
            sum.update(authority);
        }
        for list in &clients.revocation_lists {
            sum.update(list);
        }
    }
    finish(sum)
}

fn finish(sum: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(sum.finish().as_ref());
    bytes
}
