//! `check-token`: every check a token goes through, one line each.

use std::io::Read;
use std::time::SystemTime;

use chassis::BoxError;
use serde_json::{Value, json};

use super::report::Report;
use crate::claims::{Policy, named_issuer};
use crate::config::Config;
use crate::json::{member, object};
use crate::jws::{Algorithm, Header, Jws, JwsFault, Key};
use crate::keys::{KeySet, chain};

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
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    let jws = match Jws::parse(token.as_bytes()) {
        Ok(jws) => jws,
        Err(fault) => {
            report.no("form", fault);
            return Ok(report);
        }
    };

    report.yes(
        "form",
        "three parts, nothing demanded that is not understood",
    );

    let issuers = config.all_issuers();
    let issuer = match &issuers[..] {
        [] => return Err("no `issuer` is set, so no token is believed".into()),
        [only] => only,
        several => {
            let name = named_issuer(jws.unverified());
            let named = several
                .iter()
                .find(|one| Some(&one.issuer) == name.as_ref());
            let Some(named) = named else {
                let name = name.unwrap_or_else(|| "nobody".to_owned());
                report.no("issuer", format!("{name} is none of the {}", several.len()));
                return Ok(report);
            };
            named
        }
    };

    let origin = config.origin(issuer, config.fetcher()?)?;
    let set = match origin.load().await {
        Ok(set) => set,
        Err(fault) => {
            report.no("keys", chain(&fault));
            return Ok(report);
        }
    };

    report.yes(
        "keys",
        format!("{} from {}", set.ids().join(" "), origin.place()),
    );
    check(jws, &set, &config.policy(issuer), &mut report);

    Ok(report)
}

fn check(jws: Jws<'_>, set: &KeySet, policy: &Policy, report: &mut Report) {
    let header = jws.header().clone();
    key(&header, set, report);
    match jws.verify_any(set.candidates(header.kid.as_deref())) {
        Ok(payload) => {
            report.yes("signature", &header.alg);
            claims(&header, &payload, policy, report);
        }
        // Of a token that nobody signed there is nothing further to be said.
        Err(JwsFault::Algorithm) => {
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
            report.no("algorithm", found);
        }
        Err(fault) => report.no("signature", fault),
    }
}

fn key(header: &Header, set: &KeySet, report: &mut Report) {
    match header.kid.as_deref() {
        None => report.yes("key", "none named; all are tried"),
        Some(id) if set.knows(id) => report.yes("key", format!("`{id}`")),
        Some(id) => {
            let ignored = set
                .ignored()
                .iter()
                .find(|key| key.id.as_deref() == Some(id));
            match ignored {
                Some(key) => report.no("key", format!("`{id}` is not used: {}", key.reason)),
                None => report.no("key", format!("`{id}` is not in the key set")),
            }
        }
    }
}

fn claims(header: &Header, payload: &[u8], policy: &Policy, report: &mut Report) {
    let checks = match policy.checks(header, payload, SystemTime::now()) {
        Ok(checks) => checks,
        Err(fault) => return report.no("claims", fault),
    };

    let said = object(payload).unwrap_or_default();
    let said = |name: &str| member(&said, name).cloned().unwrap_or_default();
    for (check, fault) in checks {
        let found = match check {
            "type" => header.typ.clone().unwrap_or_else(|| "none".into()),
            "issuer" => wanted(&said("iss"), &json!(policy.issuer), fault.is_some()),
            "audience" => {
                let one_of = match &policy.audiences[..] {
                    [one] => json!(one),
                    several => json!(several),
                };
                wanted(&said(&policy.audience_claim), &one_of, fault.is_some())
            }
            "expiry" => moment(&said("exp")),
            "not before" => moment(&said("nbf")),
            claim => {
                let value = policy.required.get(claim).cloned().unwrap_or_default();
                wanted(&said(claim), &value, fault.is_some())
            }
        };
        match fault {
            None => report.yes(check, found),
            Some(fault) => report.no(check, format!("{fault}: {found}")),
        }
    }

    match policy.claims(header, payload, SystemTime::now()) {
        Ok(identity) => {
            let subject = identity.subject.as_deref().unwrap_or("nobody");
            let scopes = match &identity.scopes[..] {
                [] => "no scopes".to_owned(),
                scopes => format!("scopes: {}", scopes.join(" ")),
            };
            report.yes("passes", format!("as {subject}, {scopes}"));
        }
        Err(fault) => report.no("passes", fault),
    }
}

fn wanted(said: &Value, wanted: &Value, wrong: bool) -> String {
    if wrong {
        format!("{said}, wanted {wanted}")
    } else {
        said.to_string()
    }
}

/// A time in the token, and how far from now it is.
fn moment(said: &Value) -> String {
    let Some(at) = said.as_f64() else {
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
