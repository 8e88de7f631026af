//! Any text as the secret with certificate and key, and any pattern with any name: nothing panics, every
//! rejection has a problem, and a pattern never matches outside its trust domain.
#![no_main]

use chassis::Secret;
use libfuzzer_sys::fuzz_target;
use tls_proxy::{Allow, Config, Identity, Proxy};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let config = Config {
        upstream: Some("http://127.0.0.1:1".into()),
        certificate: Secret::new(text.as_ref()),
        ..Config::default()
    };
    if let Err(error) = Proxy::new(&config) {
        assert!(!error.into_problems().is_empty(), "rejected without a problem");
    }
    let (pattern, uri) = text.split_once('\n').unwrap_or(("spiffe://td/**", &text));
    // The first line is the pattern, the rest the URI.
    let admits = |pattern: &str| {
        let allow = Allow { uris: vec![pattern.into()], ..Allow::default() };
        let owner = Identity {
            subject: String::new(),
            common_name: None,
            dns: Vec::new(),
            uris: vec![uri.into()],
            certificate_sha256: [0; 32],
            key_sha256: [0; 32],
            not_after: 0,
        };
        assert!(owner.to_header().is_none_or(|value| !value.as_bytes().contains(&b'\n')));
        allow.admits(&owner)
    };
    // Without a star, a pattern matches only itself.
    if admits(pattern) && !pattern.contains('*') {
        assert_eq!(pattern, uri);
    }
    assert!(!admits("spiffe://td/**") || uri.starts_with("spiffe://td/"));
});
