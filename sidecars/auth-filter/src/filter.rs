//! HTTP around the authorizer: what is refused is answered here, what passes goes to the upstream.

use std::sync::Arc;
use std::time::SystemTime;

use chassis::http::{Body, Upstream, strip_hop_by_hop};
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};

use crate::audit;
use crate::authorizer::Authorizer;
use crate::credentials::{CERTIFICATE_HEADER, is_from_this_task};
use crate::headers::{self, ClaimHeaders};
use crate::identity::{Credential, Identity};
use crate::identity_token::IdentityTokens;

/// Answers requests: some itself, with a rejection, the others with the upstream's answer.
#[derive(Clone, Debug)]
pub struct Filter {
    authorizer: Authorizer,
    upstream: Upstream,
    upstream_identity: UpstreamIdentity,
    enforcement: Enforcement,
}

/// What the app behind the filter is told.
#[derive(Clone, Debug)]
pub struct UpstreamIdentity {
    /// What happens to a checked `Authorization` header.
    pub authorization: AuthorizationHeader,
    /// Headers for claims: each with the claim it is for.
    pub claims: ClaimHeaders,
    /// The header of API keys, which the app does not see.
    pub api_key: Option<HeaderName>,
    /// What signs the identity for the app.
    pub identity_tokens: Option<IdentityTokens>,
}

/// What happens to a checked `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationHeader {
    /// The app does not see it.
    Remove,
    /// The app sees it, if it was checked.
    Forward,
}

/// What happens to a request that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// It is answered with the rejection.
    Enforce,
    /// It goes on as from nobody, and only the audit says what would have been.
    DryRun,
}

impl Filter {
    /// A filter in front of `upstream`.
    pub fn new(
        authorizer: Authorizer,
        upstream: Upstream,
        upstream_identity: UpstreamIdentity,
        enforcement: Enforcement,
    ) -> Self {
        Self {
            authorizer,
            upstream,
            upstream_identity,
            enforcement,
        }
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let head = match self.authorizer.authorize(&head).await {
            Ok(authorized) => {
                audit::log_authorized(&head, &authorized);
                let wire = authorized.target.wire().clone();
                upstream_head(
                    head,
                    wire,
                    authorized.identity.as_ref(),
                    &self.upstream_identity,
                )
            }
            Err(rejection) => {
                let client = self.authorizer.client(&head);
                let Some(wire) = self.dry_run_target(&head) else {
                    audit::log_rejected(&head, &rejection, client, Enforcement::Enforce);
                    return rejection.response();
                };

                audit::log_rejected(&head, &rejection, client, Enforcement::DryRun);
                // The app may still check credentials itself, as it did before there was a filter.
                let own = [
                    Some(&AUTHORIZATION),
                    self.upstream_identity.api_key.as_ref(),
                ];
                let own = own.into_iter().flatten();
                let own: Vec<_> = own
                    .filter_map(|name| Some((name.clone(), head.headers.get(name)?.clone())))
                    .collect();
                let mut head = upstream_head(head, wire, None, &self.upstream_identity);

                head.headers.extend(own);
                head
            }
        };

        let request = Request::from_parts(head, body);
        self.upstream.send(request).await.unwrap_or_else(|error| {
            tracing::debug!(error = %error, "no answer from the upstream");
            error.response()
        })
    }

    /// The target a refused request goes on with, if enforcement are only noted and it has one.
    fn dry_run_target(&self, head: &Parts) -> Option<PathAndQuery> {
        let may = self.enforcement == Enforcement::DryRun && head.method != Method::CONNECT;
        let wire = head.uri.path_and_query().filter(|_| may)?;
        wire.as_str().starts_with('/').then(|| wire.clone())
    }
}

/// The head the app sees: the target that was judged, and an identity only from us.
fn upstream_head(
    mut head: Parts,
    wire: PathAndQuery,
    identity: Option<&Arc<Identity>>,
    settings: &UpstreamIdentity,
) -> Parts {
    let host = head
        .uri
        .authority()
        .and_then(|host| HeaderValue::from_str(host.as_str()).ok());

    if let (false, Some(host)) = (head.headers.contains_key(HOST), host) {
        head.headers.insert(HOST, host);
    }
    head.uri = Uri::from(wire);

    // Before the identity is set: a `Connection` that names our headers must not take them away.
    strip_hop_by_hop(&mut head.headers);
    headers::strip(&mut head.headers);
    if !is_from_this_task(&head) {
        head.headers.remove(CERTIFICATE_HEADER);
    }

    if let Some(api_key) = &settings.api_key {
        head.headers.remove(api_key);
    }
    if let Some(identity) = identity {
        headers::set_identity(&mut head.headers, identity, &settings.claims);
        let tokens = settings.identity_tokens.as_ref();
        if let Some(token) = tokens.and_then(|tokens| tokens.token_for(identity, SystemTime::now()))
        {
            head.headers.insert(headers::TOKEN, token);
        }
    }

    // Where nobody checked a token there is none to vouch for.
    let checked = identity.is_some_and(|identity| identity.credential == Credential::Token);
    if settings.authorization == AuthorizationHeader::Remove || !checked {
        headers::remove_token(&mut head.headers);
    }

    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Target;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn forwards_the_authorized_target(
            text in "/([a-z]|[a-z0-9?=&]|[ -~]|%[0-9a-fA-F]{2}|[./]){0,12}",
            authority in prop_oneof!["", "http://app\\.test"],
            name in "[xX][-_.][aA]uth[-_.][a-z]{1,8}",
        ) {
            let built = Request::get(format!("{authority}{text}"))
                .header(HOST, "app.test")
                .header("connection", "x-auth-subject")
                .header(name, "root")
                .body(());
            // What the parser refuses, or cuts at a `#`, never comes this far.
            prop_assume!(built.is_ok() && !text.contains('#'));
            let (head, ()) = built.unwrap().into_parts();
            if let Ok(target) = Target::from_request(&head) {
                let settings = UpstreamIdentity {
                    authorization: AuthorizationHeader::Remove,
                    claims: ClaimHeaders::new(),
                    api_key: None,
                    identity_tokens: None,
                };
                let head = upstream_head(head, target.wire().clone(), None, &settings);
                prop_assert_eq!(head.uri.to_string(), text);
                prop_assert_eq!(head.headers.keys().collect::<Vec<_>>(), [HOST]);
            }
        }
    }
}
