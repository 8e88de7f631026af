//! The issuers whose tokens are believed, and the check of one token.

use std::sync::Arc;
use std::time::SystemTime;

use crate::claims::{Policy, named_issuer};
use crate::identity::Identity;
use crate::jws::{Algorithm, Jws, JwsFault};
use crate::keys::Keys;
use crate::refusal::Refusal;
use crate::verdicts::{Verdict, Verdicts};

/// The issuers whose tokens are believed.
#[derive(Clone, Debug)]
pub struct Issuers {
    list: Arc<[Trusted]>,
    verdicts: Verdicts,
}

/// An issuer: what its tokens must say, and the keys they must be signed with.
#[derive(Clone, Debug)]
pub struct Trusted {
    /// What its tokens must say.
    pub policy: Policy,
    /// Its keys, kept fresh by their refresher.
    pub keys: Keys,
}

impl Issuers {
    /// These issuers, with the verdicts on `remembered` tokens kept.
    pub fn new(list: Vec<Trusted>, remembered: usize) -> Self {
        Self {
            list: list.into(),
            verdicts: Verdicts::new(remembered),
        }
    }

    /// Who a token is about, if it was found good before and nothing has changed since.
    pub(crate) fn remembered(&self, token: &[u8], now: SystemTime) -> Option<Arc<Identity>> {
        let fingerprint = self.verdicts.fingerprint(token)?;
        self.verdicts.find(&fingerprint, now, |issuer| {
            Some(self.list.get(issuer)?.keys.current()?.edition())
        })
    }

    /// Who a token is about, if it is good.
    pub(crate) async fn identity(
        &self,
        token: &[u8],
        now: SystemTime,
    ) -> Result<Arc<Identity>, Refusal> {
        let jws = Jws::parse(token)?;
        let header = jws.header().clone();

        // Before any key is looked for: no made-up algorithm makes the filter fetch something.
        Algorithm::named(&header.alg).ok_or(JwsFault::Algorithm)?;
        let (issuer, trusted) = self.of(&jws).ok_or(Refusal::UnknownIssuer)?;
        let set = match &header.kid {
            Some(id) => trusted.keys.knowing(id).await,
            None => trusted.keys.current(),
        };

        let set = set.ok_or(Refusal::NoKeys)?;
        let id = header.kid.as_deref();
        if id.is_some_and(|id| !set.knows(id)) {
            return Err(Refusal::UnknownKey);
        }

        let payload = jws.verify_any(set.candidates(id))?;
        let identity = Arc::new(trusted.policy.claims(&header, &payload, now)?);
        if let (Some(fingerprint), Some(expires)) =
            (self.verdicts.fingerprint(token), identity.expires)
        {
            let verdict = Verdict {
                issuer,
                edition: set.edition(),
                until: expires + trusted.policy.leeway,
                identity: identity.clone(),
            };
            self.verdicts.keep(fingerprint, verdict);
        }

        Ok(identity)
    }

    /// The issuer whose keys are to be tried. Where there is one it is that one: a wrong `iss` is then
    /// found with the other claims.
    fn of(&self, jws: &Jws<'_>) -> Option<(usize, &Trusted)> {
        if let [only] = &self.list[..] {
            return Some((0, only));
        }
        let name = named_issuer(jws.unverified())?;
        let mut all = self.list.iter().enumerate();
        all.find(|(_, trusted)| trusted.policy.issuer == name)
    }
}
