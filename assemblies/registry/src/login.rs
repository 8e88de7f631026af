//! Logs in to a registry: answers a challenge with a password, or with a token of the token server.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, StatusCode};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::auth::{Challenge, Token, basic_authorization};
use crate::call::Call;
use crate::credentials::Login;
use crate::error::ErrorKind;
use crate::session::{Access, Session};
use crate::transport::Response;

impl Session {
    /// Returns the `Authorization` header for the challenge of a response.
    pub(crate) async fn authorize(
        &self,
        response: &Response,
        login: Option<&Login>,
    ) -> Result<Option<String>, ErrorKind> {
        let headers = response.headers.get_all("www-authenticate");
        let mut challenges = headers
            .iter()
            .filter_map(|header| Challenge::parse(header.to_str().ok()?));

        match challenges.next() {
            None => Err(self.invalid_response("401 without a supported challenge")),
            Some(Challenge::Basic) => match login.and_then(basic_authorization) {
                Some(authorization) => Ok(Some(authorization)),
                None => Err(self.denied_error(login.map(|login| login.user().to_owned()))),
            },
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => {
                let scopes = self.scopes(scope);
                let token = self
                    .token(&realm, service.as_deref(), &scopes, login)
                    .await?;
                Ok(Some(format!("Bearer {token}")))
            }
        }
    }

    /// Returns the scopes of a token, in the format of docker's token protocol.
    fn scopes(&self, requested: Option<String>) -> Vec<String> {
        let scope = |repository: &str, actions| format!("repository:{repository}:{actions}");
        let own = self.reference().repository();
        match &self.access {
            // Some registries omit the scope; pulling this repository is all that is needed.
            Access::Pull => vec![requested.unwrap_or_else(|| scope(own, "pull"))],
            // The challenge to a HEAD request names `pull` alone, which would cost a second token.
            Access::Push { mount_from } => {
                let others = mount_from.iter().map(|other| scope(other, "pull"));
                [scope(own, "pull,push")]
                    .into_iter()
                    .chain(others)
                    .collect()
            }
            Access::Delete => vec![scope(own, "pull,delete")],
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
        login: Option<&Login>,
    ) -> Result<String, ErrorKind> {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut parameters: Vec<String> = scopes
            .iter()
            .map(|scope| format!("scope={}", encode(scope)))
            .collect();
        if let Some(service) = service {
            parameters.push(format!("service={}", encode(service)));
        }

        let request = if let Some(Login::IdentityToken(token)) = login {
            // The OAuth 2.0 flow of docker's token protocol (RFC 6749, section 6); its scopes are one list.
            let mut form = vec![format!("scope={}", encode(&scopes.join(" ")))];
            form.extend(parameters.into_iter().skip(scopes.len()));
            form.push("grant_type=refresh_token&client_id=assemble".to_owned());
            form.push(format!("refresh_token={}", encode(token)));
            let call = Call::new(Method::POST, realm.to_owned())
                .with(CONTENT_TYPE, "application/x-www-form-urlencoded");
            let request = call.build(self.parse_url(realm)?, None);
            request.map(|request| request.map(|()| Full::new(Bytes::from(form.join("&")))))
        } else {
            // A realm may already have a query.
            let mark = if realm.contains('?') { '&' } else { '?' };
            let url = format!("{realm}{mark}{}", parameters.join("&"));
            let url = self.parse_url(&url)?;
            let call = Call::new(Method::GET, String::new()).with(ACCEPT, "application/json");
            let authorization = login.and_then(basic_authorization);
            let request = call.build(url, authorization.as_deref());
            request.map(|request| request.map(|()| Full::default()))
        };

        let request = request.map_err(|error| self.invalid_response(&error.to_string()))?;
        let response = self.send_with_retries(request).await?;
        match response.status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(self.denied_error(login.map(|login| login.user().to_owned())));
            }
            _ => return Err(self.status(&response)),
        }

        let token = self.json::<Token>(&response)?.into_token();
        token.ok_or_else(|| self.invalid_response("a token response without a token"))
    }
}
