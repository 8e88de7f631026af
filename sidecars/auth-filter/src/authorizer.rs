//! Authorizes one request from its head, the rules, the credentials and the current time.

use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;

use crate::cors::Cors;
use crate::credentials::Credentials;
use crate::failure_limiter::FailureLimiter;
use crate::identity::{Credential, Identity};
use crate::rejection::Rejection;
use crate::rules::{Requirement, Rules};
use crate::target::Target;

/// Decides which requests are forwarded.
#[derive(Clone, Debug)]
pub struct Authorizer {
    rules: Rules,
    credentials: Credentials,
    failures: FailureLimiter,
    cors: Cors,
}

/// An authorized request.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorized {
    /// The target to forward, exactly as it was checked.
    pub target: Target,
    /// The identity of the client; `None` where a rule is public.
    pub identity: Option<Arc<Identity>>,
    /// Whether it is a preflight, which is forwarded without a credential and a body.
    pub is_preflight: bool,
}

impl Authorizer {
    /// Creates an authorizer from rules, accepted credentials, a failure limiter and the accepted
    /// origins.
    pub fn new(
        rules: Rules,
        credentials: Credentials,
        failures: FailureLimiter,
        cors: Cors,
    ) -> Self {
        Self {
            rules,
            credentials,
            failures,
            cors,
        }
    }

    /// Authorizes a request from its head.
    pub async fn authorize(&self, request: &Parts) -> Result<Authorized, Rejection> {
        let target = Target::from_request(request)?;
        if self.cors.forwards_preflight(request) {
            return Ok(Authorized {
                target,
                identity: None,
                is_preflight: true,
            });
        }

        let policy = match self.rules.requirement(request.method.as_str(), &target) {
            Requirement::Public => {
                return Ok(Authorized {
                    target,
                    identity: None,
                    is_preflight: false,
                });
            }
            Requirement::Identity(policy) => Some(policy),
            Requirement::NoRule => None,
        };

        // Clients without a credential get 401 whether or not a rule matches, so that they cannot
        // discover which paths exist.
        let kinds = policy.map_or(&[][..], |policy| &policy.credentials);
        let identity = self.identify(request, kinds).await?;
        policy.ok_or(Rejection::NoRule)?.check(&identity)?;

        Ok(Authorized {
            target,
            identity: Some(identity),
            is_preflight: false,
        })
    }

    /// Returns the accepted origins.
    pub(crate) fn cors(&self) -> &Cors {
        &self.cors
    }

    /// Returns the client's address in front of the trusted proxies.
    pub(crate) fn client(&self, request: &Parts) -> Option<IpAddr> {
        self.failures.client(request)
    }

    async fn identify(
        &self,
        request: &Parts,
        kinds: &[Credential],
    ) -> Result<Arc<Identity>, Rejection> {
        // Before the limiter: a client that shares its address with a guesser (NAT) keeps working
        // with a token that was valid before.
        if let Some(identity) = self.credentials.find_cached(request, kinds) {
            return Ok(identity);
        }

        let client = self.failures.check(request)?;
        let address = self.failures.client(request);
        let identity = self.credentials.identify(request, kinds, address).await;
        if identity
            .as_ref()
            .is_err_and(Rejection::is_credential_failure)
        {
            self.failures.record_failure(client);
        }

        identity
    }
}
