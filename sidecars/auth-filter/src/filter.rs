//! HTTP around the judge: what is refused is answered here, what passes goes to the upstream.

use chassis::http::{Body, Upstream, strip_hop_by_hop};
use http::header::HOST;
use http::request::Parts;
use http::{HeaderValue, Request, Response, Uri};

use crate::judge::{Judge, Passed};
use crate::{audit, identity};

/// Answers requests: some itself, with a refusal, the others with the upstream's answer.
#[derive(Clone, Debug)]
pub struct Filter {
    judge: Judge,
    upstream: Upstream,
    token: Token,
}

/// What happens to a checked `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// The app does not see it.
    Removed,
    /// The app sees it, if it was checked.
    Forwarded,
}

impl Filter {
    /// A filter in front of `upstream`.
    pub fn new(judge: Judge, upstream: Upstream, token: Token) -> Self {
        Self {
            judge,
            upstream,
            token,
        }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        match self.judge.judge(&head).await {
            Ok(passed) => {
                audit::passed(&head, &passed);
                let request = Request::from_parts(forwarded(head, &passed, self.token), body);
                self.upstream.send(request).await.unwrap_or_else(|error| {
                    tracing::debug!(error = %error, "no answer from the upstream");
                    error.response()
                })
            }
            Err(refusal) => {
                audit::refused(&head, &refusal);
                refusal.response()
            }
        }
    }
}

/// The head the app sees: the target that was judged, and an identity only from us.
fn forwarded(mut head: Parts, passed: &Passed, token: Token) -> Parts {
    let host = head
        .uri
        .authority()
        .and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let (false, Some(host)) = (head.headers.contains_key(HOST), host) {
        head.headers.insert(HOST, host);
    }
    head.uri = Uri::from(passed.target.wire().clone());
    // Before the identity is set: a `Connection` that names our headers must not take them away.
    strip_hop_by_hop(&mut head.headers);
    identity::strip(&mut head.headers);
    if let Some(claims) = &passed.claims {
        identity::set(&mut head.headers, claims);
    }
    // Where nobody checked a token there is none to vouch for.
    if token == Token::Removed || passed.claims.is_none() {
        identity::remove_token(&mut head.headers);
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
        fn the_target_that_was_judged_is_the_one_that_is_forwarded(
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
            if let Ok(target) = Target::of(&head) {
                let passed = Passed { target, claims: None };
                let seen = forwarded(head, &passed, Token::Removed);
                prop_assert_eq!(seen.uri.to_string(), text);
                prop_assert_eq!(seen.headers.keys().collect::<Vec<_>>(), [HOST]);
            }
        }
    }
}
