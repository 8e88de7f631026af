//! The open connections, counted in total and per client address.

use std::{
    net::IpAddr,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use super::acceptor::Shared;

/// Counts a connection for its client until dropped.
pub(crate) struct ConnectionGuard {
    pub(super) shared: Arc<Shared>,
    pub(super) client: IpAddr,
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let before = self.shared.connections.fetch_sub(1, Ordering::Relaxed);
        let connections = before.saturating_sub(1) as f64;
        self.shared.counters.connections.record(connections, &[]);

        let mut open = self
            .shared
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);

        if let Some(count) = open.get_mut(&self.client) {
            // Entries without connections are removed, so that the map is bounded by the open connections.
            *count -= 1;
            if *count == 0 {
                open.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
impl ConnectionGuard {
    /// Creates a guard without a running proxy.
    pub(crate) fn for_test() -> Self {
        use super::{CertificateSet, TlsAcceptor, provider};
        use crate::{Config, certificate::Material};

        let certified = rcgen::generate_simple_self_signed(["localhost".into()]);
        let rcgen::CertifiedKey { cert, signing_key } = certified.unwrap();
        let config = Config {
            certificate: chassis::Secret::new(cert.pem() + &signing_key.serialize_pem()),
            ..Config::default()
        };
        let material = Material::load(&config, &provider()).unwrap();
        let certificates = CertificateSet::new(&config, &material, None).unwrap();
        let acceptor = TlsAcceptor::new(certificates, &config);
        acceptor.register([127, 0, 0, 1].into()).unwrap()
    }
}
