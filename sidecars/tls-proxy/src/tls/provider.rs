//! The crypto provider, the protocol versions and the names of suites and protocols.

use std::sync::Arc;

use rustls::{
    CipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    version::{TLS12, TLS13},
};

use crate::{Config, MinVersion};

/// Returns the crypto provider, which is passed to rustls explicitly and not installed process-wide.
pub(crate) fn provider(config: &Config) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    if !config.key_exchange_groups.is_empty() {
        let groups = config.key_exchange_groups.iter();
        provider.kx_groups = groups.map(|group| group.implementation()).collect();
    }
    if !config.cipher_suites.is_empty() {
        let suites = config.cipher_suites.iter();
        provider.cipher_suites = suites.map(|suite| suite.implementation()).collect();
        return Arc::new(provider);
    }

    let suites = &mut provider.cipher_suites;
    // AES-128 is the fastest on CPUs with AES instructions, and 128 bits are enough.
    suites.sort_by_key(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_AES_256_GCM_SHA384 => 1,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => 2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 3,
        _ => 4,
    });

    Arc::new(provider)
}

/// Returns the supported versions from the minimum on.
pub(crate) fn versions(min: MinVersion) -> &'static [&'static SupportedProtocolVersion] {
    match min {
        MinVersion::Tls12 => &FROM_1_2,
        MinVersion::Tls13 => &FROM_1_3,
    }
}

static FROM_1_2: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
static FROM_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];

/// The suites that a client without AES instructions offers first.
pub(super) const CHACHA20: [CipherSuite; 3] = [
    CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];
pub(crate) const H2: &[u8] = b"h2";
