//! M08: proxy and next hop use different protocols.

use diagnostics::{Finding, Location};

use super::{Failing, MANIFEST, Rule};

/// The description of M08.
pub(crate) const RULE: Rule = Rule {
    id: "M08",
    name: "protocol-mismatch",
    title: "proxy and next hop use different protocols",
    explanation: "A proxy forwards requests over one interface, and the next hop must provide it. `https` to the next hop would need a certificate for the loopback address, and there is no client that would check it.",
    source: "docs/manifest.md",
    hint: "change the order of `ingress`",
    passing: "\
name: shop
app: web
ingress: [tls, auth]
settings: { auth: { issuer: 'https://issuer.example/' } }
service: {}
",
    // `auth` forwards plain HTTP, but `tls` only accepts HTTPS.
    failing: Failing::Change("ingress: [tls, auth]", "ingress: [auth, tls]"),
    ..MANIFEST
};

/// Reports two consecutive hops without a common interface.
pub(crate) fn mismatch(
    location: Location,
    hop: &str,
    wants: &str,
    next: &str,
    offers: &str,
) -> Finding {
    RULE.finding(
        location,
        format!("`{hop}` forwards `{wants}`, but the next hop, `{next}`, provides {offers}"),
        format!("place a component that provides `{wants}` after `{hop}`"),
    )
}
