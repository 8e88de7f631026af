//! The verdict on one request: a function of its head, the rules, the credentials and the time.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;

use crate::credentials::Credentials;
use crate::failure_limiter::FailureLimiter;
use crate::identity::{Credential, Identity};
use crate::rejection::Rejection;
use crate::rules::{Requirement, Rules};
use crate::target::Target;

/// Decides which requests pass.
#[derive(Clone, Debug)]
pub struct Authorizer {
    rules: Rules,
    credentials: Credentials,
    failures: FailureLimiter,
}

/// A request that may go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorized {
    /// The target that was judged and that is to be forwarded.
    pub target: Target,
    /// Who it is from; nobody where a rule is public.
    pub identity: Option<Arc<Identity>>,
}

impl Authorizer {
    /// A judge by these rules, who believes these credentials.
    pub fn new(rules: Rules, credentials: Credentials, failures: FailureLimiter) -> Self {
        Self {
            rules,
            credentials,
            failures,
        }
    }

    /// Judges a request by its head.
    pub async fn authorize(&self, request: &Parts) -> Result<Authorized, Rejection> {
        let target = Target::from_request(request)?;
        let policy = match self.rules.requirement(request.method.as_str(), &target) {
            Requirement::Public => {
                let identity = None;
                return Ok(Authorized { target, identity });
            }
            Requirement::Identity(policy) => Some(policy),
            Requirement::NoRule => None,
        };

        // Strangers get the same answer whether or not there is a rule, so that they learn nothing.
        let kinds = policy.map_or(&[][..], |policy| &policy.credentials);
        let identity = self.identify(request, kinds).await?;
        policy.ok_or(Rejection::NoRule)?.check(&identity)?;
        let identity = Some(identity);

        Ok(Authorized { target, identity })
    }

    /// The client of a request, past the proxies that are trusted.
    pub(crate) fn client(&self, request: &Parts) -> Option<IpAddr> {
        self.failures.client(request)
    }

    async fn identify(
        &self,
        request: &Parts,
        kinds: &[Credential],
    ) -> Result<Arc<Identity>, Rejection> {
        if let Some(identity) = self.credentials.find_cached(request, kinds) {
            return Ok(identity);
        }

        let client = self.failures.check(request)?;
        let identity = self.credentials.identify(request, kinds).await;
        if identity
            .as_ref()
            .is_err_and(Rejection::is_credential_failure)
        {
            self.failures.record_failure(client);
        }

        identity
    }
}
