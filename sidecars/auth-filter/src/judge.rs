//! The verdict on one request: a function of its head, the rules, the keys and the time.

use std::time::SystemTime;

use http::request::Parts;

use crate::bearer::bearer;
use crate::claims::{Claims, Policy};
use crate::jws::{Algorithm, Jws, JwsFault};
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::rules::{Need, Rules};
use crate::target::Target;

/// Decides which requests pass.
#[derive(Clone, Debug)]
pub struct Judge {
    rules: Rules,
    policy: Policy,
    keys: Keys,
}

/// A request that may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The target that was judged and that is to be forwarded.
    pub target: Target,
    /// Who it is from; nobody where a rule is public.
    pub claims: Option<Claims>,
}

impl Judge {
    /// A judge by these rules, this policy and these keys.
    pub fn new(rules: Rules, policy: Policy, keys: Keys) -> Self {
        Self {
            rules,
            policy,
            keys,
        }
    }

    /// Judges a request by its head.
    pub async fn judge(&self, request: &Parts) -> Result<Passed, Refusal> {
        let target = Target::of(request)?;
        let needed = match self.rules.need(request.method.as_str(), &target) {
            Need::Nothing => {
                return Ok(Passed {
                    target,
                    claims: None,
                });
            }
            Need::Token(scopes) => Some(scopes),
            Need::NoRule => None,
        };
        // Strangers get the same answer whether or not there is a rule, so that they learn nothing.
        let claims = self.claims(bearer(&request.headers)?).await?;
        let needed = needed.ok_or(Refusal::NoRule)?;
        if needed.iter().all(|scope| claims.scopes.contains(scope)) {
            Ok(Passed {
                target,
                claims: Some(claims),
            })
        } else {
            Err(Refusal::Scope {
                needed: needed.to_vec(),
            })
        }
    }

    /// What a token claims, if it is good.
    async fn claims(&self, token: &[u8]) -> Result<Claims, Refusal> {
        let token = Jws::parse(token)?;
        let header = token.header().clone();
        // Before any key is looked for: no made-up algorithm makes the filter fetch something.
        Algorithm::named(&header.alg).ok_or(JwsFault::Algorithm)?;
        let set = match &header.kid {
            Some(id) => self.keys.knowing(id).await,
            None => self.keys.current(),
        };
        let set = set.ok_or(Refusal::NoKeys)?;
        let id = header.kid.as_deref();
        if id.is_some_and(|id| !set.knows(id)) {
            return Err(Refusal::UnknownKey);
        }
        let payload = token.verify_any(set.candidates(id))?;
        Ok(self.policy.claims(&header, &payload, SystemTime::now())?)
    }
}
