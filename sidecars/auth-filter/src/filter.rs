//! Handles HTTP: responds to rejected requests and forwards authorized ones to the upstream.

use std::sync::Arc;
use std::time::SystemTime;

use chassis::http::{Body, Upstream, empty, strip_hop_by_hop};
use http::header::{AUTHORIZATION, HOST, SET_COOKIE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};

use crate::audit;
use crate::authorizer::Authorizer;
use crate::credentials::{CERTIFICATE_HEADER, TokenSources, bearer_token, is_from_this_task};
use crate::headers::{self, ClaimHeaders};
use crate::identity::{Credential, Identity};
use crate::identity_token::IdentityTokens;

/// Responds to rejected requests and forwards the others.
#[derive(Clone, Debug)]
pub struct Filter {
    authorizer: Authorizer,
    upstream: Upstream,
    upstream_identity: UpstreamIdentity,
    enforcement: Enforcement,
}

/// What the upstream receives about the client.
#[derive(Clone, Debug)]
pub struct UpstreamIdentity {
    /// What happens to a verified `Authorization` header.
    pub authorization: AuthorizationHeader,
    /// Headers for claims, each with the name of its claim.
    pub claims: ClaimHeaders,
    /// What happens to the client certificate that the proxy in this task forwards.
    pub client_certificate: ClientCertificate,
    /// The header of API keys, removed from forwarded requests.
    pub api_key: Option<HeaderName>,
    /// Signs the identity for the app.
    pub identity_tokens: Option<IdentityTokens>,
    /// Where tokens may come from; they are removed there.
    pub token_sources: TokenSources,
    /// The headers that only the external service may set.
    pub external_headers: Vec<HeaderName>,
}

/// What happens to the client certificate that the proxy in this task forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// Removes it: a proxy that forwards bytes lets clients write the header themselves.
    Remove,
    /// Forwards it, because client certificates are a credential here.
    Forward,
}

/// What happens to a verified `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationHeader {
    /// Removes it from the forwarded request.
    Remove,
    /// Forwards it if it was verified.
    Forward,
}

/// What happens to a rejected request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Responds with the rejection.
    Enforce,
    /// Forwards it without an identity and only writes an audit entry.
    DryRun,
}

impl Filter {
    /// Creates a filter in front of `upstream`.
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

    /// Handles one request.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let origin = self.authorizer.cors().origin(&head);
        let mut for_client = HeaderMap::new();
        let head = match self.authorizer.authorize(&head).await {
            Ok(authorized) => {
                audit::log_authorized(&head, &authorized);
                // HTTP/2 announces no length, so an unauthorized body could follow a preflight.
                if authorized.is_preflight {
                    body = empty();
                }
                let passed = authorized.identity.as_ref();
                if let Some(passed) = passed.and_then(|identity| identity.passed.as_ref()) {
                    for_client.clone_from(&passed.client);
                }
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
                    let mut response = rejection.response();
                    let cors = self.authorizer.cors();
                    cors.allow_reading(origin, response.headers_mut());
                    return response;
                };

                audit::log_rejected(&head, &rejection, client, Enforcement::DryRun);
                self.dry_run_head(head, wire)
            }
        };

        let request = Request::from_parts(head, body);
        let mut response = match self.upstream.send(request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(error = %error, "no response from the upstream");
                let mut response = error.response();
                let cors = self.authorizer.cors();
                cors.allow_reading(origin, response.headers_mut());
                response
            }
        };
        pass_to_client(&for_client, response.headers_mut());
        response
    }

    /// Builds the head of a rejected request that is forwarded in a dry run, without an identity.
    fn dry_run_head(&self, head: Parts, wire: PathAndQuery) -> Parts {
        // In a dry run the app may still verify credentials itself, as it did before the
        // filter existed.
        let credential_headers: Vec<_> = [
            Some(&AUTHORIZATION),
            self.upstream_identity.api_key.as_ref(),
        ]
        .into_iter()
        .flatten()
        .filter_map(|name| Some((name.clone(), head.headers.get(name)?.clone())))
        .collect();

        let settings = UpstreamIdentity {
            token_sources: TokenSources::default(),
            ..self.upstream_identity.clone()
        };
        let mut head = upstream_head(head, wire, None, &settings);
        head.headers.extend(credential_headers);
        head
    }

    /// Returns the target of a rejected request to forward in a dry run, if it has one.
    fn dry_run_target(&self, head: &Parts) -> Option<PathAndQuery> {
        // CONNECT has no path, and an asterisk-form target cannot be forwarded as a path.
        if self.enforcement != Enforcement::DryRun || head.method == Method::CONNECT {
            return None;
        }

        let wire = head.uri.path_and_query()?;
        wire.as_str().starts_with('/').then(|| wire.clone())
    }
}

/// Adds the headers of the external service to a response; only cookies are added to the app's own.
fn pass_to_client(passed: &HeaderMap, headers: &mut HeaderMap) {
    for name in passed.keys() {
        if *name != SET_COOKIE {
            headers.remove(name);
        }
        for value in passed.get_all(name) {
            headers.append(name, value.clone());
        }
    }
}

/// Builds the forwarded head: the authorized target, and identity headers only from this filter.
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

    // HTTP/2 carries the host in `:authority` only; an HTTP/1 upstream needs `Host` (RFC 9113
    // 8.3.1).
    if let (false, Some(host)) = (head.headers.contains_key(HOST), host) {
        head.headers.insert(HOST, host);
    }
    head.uri = Uri::from(settings.token_sources.strip_query(wire));
    settings.token_sources.strip_headers(&mut head.headers);

    // Before the identity is set: otherwise a `Connection` header that lists the identity headers
    // would remove them.
    strip_hop_by_hop(&mut head.headers);
    headers::strip(&mut head.headers);
    // Only the proxy in this task can vouch for a client certificate.
    let is_kept = settings.client_certificate == ClientCertificate::Forward;
    if !is_kept || !is_from_this_task(&head) {
        head.headers.remove(CERTIFICATE_HEADER);
    }

    if let Some(api_key) = &settings.api_key {
        head.headers.remove(api_key);
    }
    // Removed for every kind of credential: the app takes them for headers of the service.
    // `Authorization` is removed below, unless it was verified.
    let external = settings.external_headers.iter();
    for name in external.filter(|name| **name != AUTHORIZATION) {
        headers::remove_spellings(&mut head.headers, name);
    }
    if let Some(identity) = identity {
        headers::set_identity(&mut head.headers, identity, &settings.claims);
        let tokens = settings.identity_tokens.as_ref();
        if let Some(token) = tokens.and_then(|tokens| tokens.token_for(identity, SystemTime::now()))
        {
            head.headers.insert(headers::TOKEN, token);
        }
    }

    // Without a verified bearer token there is nothing to forward.
    let checked = identity.is_some_and(|identity| identity.credential == Credential::Token);
    // A token from a cookie says nothing about an `Authorization` of another scheme.
    let is_bearer = || bearer_token(&head.headers).is_ok();
    if settings.authorization == AuthorizationHeader::Remove || !checked || !is_bearer() {
        headers::remove_token(&mut head.headers);
    }

    if let Some(passed) = identity.and_then(|identity| identity.passed.as_ref()) {
        head.headers.extend(passed.app.clone());
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
            // The HTTP parser rejects these, or cuts them at a `#`, before the filter sees them.
            prop_assume!(built.is_ok() && !text.contains('#'));
            let (head, ()) = built.unwrap().into_parts();
            if let Ok(target) = Target::from_request(&head) {
                let settings = UpstreamIdentity {
                    authorization: AuthorizationHeader::Remove,
                    client_certificate: ClientCertificate::Remove,
                    claims: ClaimHeaders::new(),
                    api_key: None,
                    identity_tokens: None,
                    token_sources: TokenSources::default(),
                    external_headers: Vec::new(),
                };
                let head = upstream_head(head, target.wire().clone(), None, &settings);
                prop_assert_eq!(head.uri.to_string(), text);
                prop_assert_eq!(head.headers.keys().collect::<Vec<_>>(), [HOST]);
            }
        }
    }
}
