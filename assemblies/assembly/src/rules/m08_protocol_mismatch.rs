//! M08: a hop does not speak what the hop in front of it says.

use task_definition::{Finding, Place};

use super::Rule;

/// The rule.
pub(crate) const RULE: Rule = Rule {
    id: "M08",
    title: "a hop does not speak what the hop in front of it says",
    explanation: "A proxy hands on one interface, and the next hop must offer it. `https` in front of `https` would need a certificate on the loopback, and nobody would be there to check it.",
    source: "assemblies/README.md",
    hint: "change the order of `ingress`",
    passing: "\
name: shop
app: web
ingress: [tls, auth]
settings: { auth: { issuer: 'https://issuer.example/' } }
service: {}
",
    failing: "\
name: shop
app: web
ingress: [auth, tls]
settings: { auth: { issuer: 'https://issuer.example/' } }
service: {}
",
};

/// Two hops that do not understand each other.
pub(crate) fn mismatch(place: Place, hop: &str, wants: &str, next: &str, offers: &str) -> Finding {
    RULE.error(
        place,
        format!("`{hop}` hands on `{wants}`, but `{next}` behind it offers {offers}"),
        format!("put a component that offers `{wants}` behind `{hop}`"),
    )
}
