//! The `check-token` verb: shows every check of a token, one line each.

use std::io::Read;
use std::time::SystemTime;

use chassis::{BoxError, format_chain};
use serde_json::{Value, json};

use super::report::Report;
use crate::claims::{TokenPolicy, unverified_issuer};
use crate::config::{Config, TrustedIssuer};
use crate::credentials::Introspection;
use crate::identity::Identity;
use crate::json::{lookup, parse_object};
use crate::jws::{Algorithm, Header, Jws, JwsError, Key};
use crate::keys::KeySet;

pub(super) async fn report(token: &str, config: &Config) -> Result<Report, BoxError> {
    let read;
    let token = if token == "-" {
        read = from_stdin()?;
        &read
    } else {
        token
    };

    let mut report = Report::default();
    let token = token.trim();
    // Users often paste the whole header value.
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    let issuers = config.all_issuers();
    if let Some(introspection) = config.build_introspection()?
        && (issuers.is_empty() || Introspection::is_opaque(token.as_bytes()))
    {
        introspect(&introspection, token, &mut report).await;
        return Ok(report);
    }

    let jws = match Jws::parse(token.as_bytes()) {
        Ok(jws) => jws,
        Err(error) => {
            report.fail("form", error);
            return Ok(report);
        }
    };

    report.pass("form", "three parts, no unsupported extension");

    if issuers.is_empty() {
        return Err("no `issuer` is configured, so no token is accepted".into());
    }

    let Some(issuer) = select_issuer(config, &issuers, &jws, &mut report) else {
        return Ok(report);
    };
    let origin = config.origin(issuer, config.fetcher()?)?;
    let set = match origin.load().await {
        Ok(set) => set,
        Err(error) => {
            report.fail("keys", format_chain(&error));
            return Ok(report);
        }
    };

    report.pass(
        "keys",
        format!("{} from {}", set.ids().join(" "), origin.location()),
    );
    check_signature(jws, &set, &config.policy(issuer), &mut report);

    Ok(report)
}

/// Asks the server about an opaque token and reports what a request with it gets.
async fn introspect(introspection: &Introspection, token: &str, report: &mut Report) {
    match introspection
        .identity(token.as_bytes(), SystemTime::now())
        .await
    {
        Ok(identity) => report.pass("introspection", format_identity(&identity)),
        Err(rejection) => report.fail("introspection", rejection),
    }
}

fn format_identity(identity: &Identity) -> String {
    let subject = identity.subject.as_deref().unwrap_or("no subject");
    let scopes = match &identity.scopes[..] {
        [] => "no scopes".to_owned(),
        scopes => format!("scopes: {}", scopes.join(" ")),
    };
    format!("as {subject}, {scopes}")
}

/// Returns the issuer to check the token against, or reports that it is none of several.
fn select_issuer<'i>(
    config: &Config,
    issuers: &'i [TrustedIssuer],
    jws: &Jws<'_>,
    report: &mut Report,
) -> Option<&'i TrustedIssuer> {
    if let [only] = issuers {
        return Some(only);
    }

    let name = unverified_issuer(jws.unverified_payload());
    let selected = issuers
        .iter()
        .find(|issuer| Some(&issuer.issuer) == name.as_ref())
        .or_else(|| {
            let name = name.as_deref()?;
            let mut issuers = issuers.iter();
            issuers.find(|issuer| config.policy(issuer).is_for_issuer(name))
        });
    if selected.is_none() {
        let name = name.unwrap_or_else(|| "no issuer".to_owned());
        let count = issuers.len();
        let found = format!("{name} is not one of the {count} trusted issuers");
        report.fail("issuer", found);
    }
    selected
}

fn check_signature(jws: Jws<'_>, set: &KeySet, policy: &TokenPolicy, report: &mut Report) {
    let header = jws.header().clone();
    check_key(&header, set, report);
    let key_issuer = policy.key_issuer(jws.unverified_payload());
    let is_accepted = |key: &&Key| policy.accepts_key(key, key_issuer.as_deref());
    match jws.verify_any(set.candidates(header.kid.as_deref()).filter(is_accepted)) {
        Ok(payload) => {
            report.pass("signature", &header.alg);
            check_claims(&header, &payload, policy, report);
        }
        // The claims of a token with an invalid signature are not shown: they are not authentic.
        Err(JwsError::Algorithm) => {
            let keys = set.candidates(header.kid.as_deref());
            let offered: Vec<_> = keys
                .flat_map(Key::algorithms)
                .map(Algorithm::name)
                .collect();
            let found = format!(
                "`{}`, but the key is for: {}",
                header.alg,
                offered.join(" ")
            );
            report.fail("algorithm", found);
        }
        Err(error) => report.fail("signature", error),
    }
}

fn check_key(header: &Header, set: &KeySet, report: &mut Report) {
    match header.kid.as_deref() {
        None => report.pass("key", "no `kid`; all keys are tried"),
        Some(id) if set.contains(id) => report.pass("key", format!("`{id}`")),
        Some(id) => {
            let ignored = set
                .ignored_keys()
                .iter()
                .find(|key| key.id.as_deref() == Some(id));
            match ignored {
                Some(key) => report.fail("key", format!("`{id}` is not used: {}", key.reason)),
                None => report.fail("key", format!("`{id}` is not in the key set")),
            }
        }
    }
}

fn check_claims(header: &Header, payload: &[u8], policy: &TokenPolicy, report: &mut Report) {
    let checks = match policy.checks(header, payload, SystemTime::now()) {
        Ok(checks) => checks,
        Err(error) => return report.fail("claims", error),
    };

    let payload_claims = parse_object(payload).unwrap_or_default();
    let claim = |name: &str| lookup(&payload_claims, name).cloned().unwrap_or_default();
    for (check, error) in checks {
        let found = match check {
            "type" => header.typ.clone().unwrap_or_else(|| "none".into()),
            "issuer" => format_comparison(&claim("iss"), &json!(policy.issuer), error.is_some()),
            "audience" => {
                let audiences = match &policy.audiences[..] {
                    [audience] => json!(audience),
                    several => json!(several),
                };
                format_comparison(&claim(&policy.audience_claim), &audiences, error.is_some())
            }
            "tenant" => format_comparison(&claim("tid"), &json!(policy.tenants), error.is_some()),
            "expiry" => format_time(&claim("exp")),
            "not before" => format_time(&claim("nbf")),
            name => {
                let value = policy.required.get(name).cloned().unwrap_or_default();
                format_comparison(&claim(name), &value, error.is_some())
            }
        };
        match error {
            None => report.pass(check, found),
            Some(error) => report.fail(check, format!("{error}: {found}")),
        }
    }

    // The same function as in the filter decides, so this line cannot differ from what a request
    // gets.
    match policy.claims(header, payload, SystemTime::now()) {
        Ok(identity) => report.pass("passes", format_identity(&identity)),
        Err(error) => report.fail("passes", error),
    }
}

fn format_comparison(actual: &Value, expected: &Value, wrong: bool) -> String {
    if wrong {
        format!("{actual}, expected {expected}")
    } else {
        actual.to_string()
    }
}

/// Formats a time in the token with its distance from now.
fn format_time(actual: &Value) -> String {
    let Some(at) = actual.as_f64() else {
        return "none".into();
    };
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let away = at - now.as_secs_f64();

    if away < 0.0 {
        format!("{at}, {:.0} s ago", -away)
    } else {
        format!("{at}, in {away:.0} s")
    }
}

fn from_stdin() -> Result<String, BoxError> {
    let mut text = String::new();
    std::io::stdin()
        .take(2 * Jws::MAX_BYTES as u64)
        .read_to_string(&mut text)?;
    Ok(text)
}
