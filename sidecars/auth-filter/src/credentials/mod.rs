//! What vouches for a request: the first credential it carries decides, and a bad one is not made
//! good by another.

mod alb;
mod api_key;
mod bearer;
mod certificate;
mod external;

use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;
use http::request::Parts;

use crate::identity::{Credential, Identity};
use crate::issuers::Issuers;
use crate::rejection::Rejection;

pub use alb::{Alb, AlbError, AlbSettings};
pub use api_key::{ApiKey, ApiKeyError, ApiKeyListError, ApiKeys, Reloader};
pub(crate) use api_key::{fingerprint as api_key_fingerprint, parse as parse_api_keys};
pub use certificate::{CertificateError, CertificateRule, Certificates};
pub(crate) use certificate::{HEADER as CERTIFICATE_HEADER, is_from_this_task};
pub use external::{External, ExternalRejection, ExternalSettings};

/// The credentials that are configured; what is not here is not looked at.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Bearer tokens of these issuers.
    pub issuers: Option<Issuers>,
    /// API keys.
    pub api_keys: Option<ApiKeys>,
    /// What load balancers say of their users.
    pub alb: Option<Alb>,
    /// Client certificates, as the proxy in front names them.
    pub certificates: Option<Certificates>,
    /// Whatever another service lets through.
    pub external: Option<External>,
}

impl Credentials {
    /// Who a request is from, if its token was found good before.
    pub(crate) fn find_cached(
        &self,
        request: &Parts,
        kinds: &[Credential],
    ) -> Option<Arc<Identity>> {
        let issuers = self.issuers.as_ref()?;
        if !is_accepted(kinds, Credential::Token) {
            return None;
        }
        let token = bearer::bearer_token(&request.headers).ok()?;
        issuers.find_cached(token, SystemTime::now())
    }

    /// Who a request is from, by the first of the wanted `kinds` of credential it carries; by the
    /// first of all kinds where none are names.
    pub(crate) async fn identify(
        &self,
        request: &Parts,
        kinds: &[Credential],
    ) -> Result<Arc<Identity>, Rejection> {
        let (headers, now) = (&request.headers, SystemTime::now());
        if let Some(issuers) = if_accepted(kinds, Credential::Token, self.issuers.as_ref()) {
            match bearer::bearer_token(headers) {
                Ok(token) => return issuers.identity(token, now).await,
                Err(Rejection::NoToken) => {}
                Err(rejection) => return Err(rejection),
            }
        }

        if let Some(api_keys) = if_accepted(kinds, Credential::ApiKey, self.api_keys.as_ref())
            && let Some(key) =
                single_header(headers, api_keys.header()).ok_or(ApiKeyError::Duplicate)?
        {
            return Ok(api_keys.identity(key, now)?);
        }

        if let Some(alb) = if_accepted(kinds, Credential::Alb, self.alb.as_ref())
            && let Some(data) = single_header(headers, &alb::HEADER).ok_or(AlbError::Malformed)?
        {
            return Ok(alb.identity(data, now).await?.into());
        }

        if let Some(certificates) =
            if_accepted(kinds, Credential::Certificate, self.certificates.as_ref())
            && let Some(names) =
                single_header(headers, &certificate::HEADER).ok_or(CertificateError::Malformed)?
        {
            return Ok(certificates.identity(request, names)?.into());
        }

        match if_accepted(kinds, Credential::External, self.external.as_ref()) {
            Some(external) => Ok(external.identity(request).await?.into()),
            None => Err(Rejection::NoToken),
        }
    }
}

fn if_accepted<C>(kinds: &[Credential], kind: Credential, configured: Option<C>) -> Option<C> {
    configured.filter(|_| is_accepted(kinds, kind))
}

fn is_accepted(kinds: &[Credential], kind: Credential) -> bool {
    kinds.is_empty() || kinds.contains(&kind)
}

/// The value of a header that may be there once: `None` when it is there twice.
#[expect(
    clippy::option_option,
    reason = "there, not there, or there twice: the outer one is an error of the caller's"
)]
fn single_header<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<Option<&'h [u8]>> {
    let mut values = headers.get_all(name).iter();
    let first = values.next().map(http::HeaderValue::as_bytes);
    values.next().is_none().then_some(first)
}
