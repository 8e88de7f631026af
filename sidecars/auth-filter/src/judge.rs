//! The verdict on one request: a function of its head, the rules, the credentials and the time.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;

use crate::credentials::Credentials;
use crate::failures::Failures;
use crate::identity::{Credential, Identity};
use crate::refusal::Refusal;
use crate::rules::{Need, Rules};
use crate::target::Target;

/// Decides which requests pass.
#[derive(Clone, Debug)]
pub struct Judge {
    rules: Rules,
    credentials: Credentials,
    failures: Failures,
}

/// A request that may go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Passed {
    /// The target that was judged and that is to be forwarded.
    pub target: Target,
    /// Who it is from; nobody where a rule is public.
    pub identity: Option<Arc<Identity>>,
}

impl Judge {
    /// A judge by these rules, who believes these credentials.
    pub fn new(rules: Rules, credentials: Credentials, failures: Failures) -> Self {
        Self {
            rules,
            credentials,
            failures,
        }
    }

    /// Judges a request by its head.
    pub async fn judge(&self, request: &Parts) -> Result<Passed, Refusal> {
        let target = Target::of(request)?;
        let demand = match self.rules.need(request.method.as_str(), &target) {
            Need::Nothing => {
                let identity = None;
                return Ok(Passed { target, identity });
            }
            Need::Identity(demand) => Some(demand),
            Need::NoRule => None,
        };

        // Strangers get the same answer whether or not there is a rule, so that they learn nothing.
        let kinds = demand.map_or(&[][..], |demand| &demand.credentials);
        let identity = self.identify(request, kinds).await?;
        demand.ok_or(Refusal::NoRule)?.check(&identity)?;
        let identity = Some(identity);

        Ok(Passed { target, identity })
    }

    /// The client of a request, past the proxies that are trusted.
    pub(crate) fn client(&self, request: &Parts) -> Option<IpAddr> {
        self.failures.client(request)
    }

    async fn identify(
        &self,
        request: &Parts,
        kinds: &[Credential],
    ) -> Result<Arc<Identity>, Refusal> {
        if let Some(identity) = self.credentials.remembered(request, kinds) {
            return Ok(identity);
        }

        let client = self.failures.admit(request)?;
        let identity = self.credentials.identify(request, kinds).await;
        if identity.as_ref().is_err_and(Refusal::is_failure) {
            self.failures.count(client);
        }

        identity
    }
}
