//! The API client.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::Value;

use crate::api::{Api, Call, Service};
use crate::ecs::Ecs;
use crate::error::Error;
use crate::login::{Login, Session};
use crate::transport::Transport;

/// A client for ECS, and for the APIs that go with it, in one region.
#[derive(Debug, Clone)]
pub struct Client {
    ecs: Ecs,
    transport: Transport,
    region: String,
    endpoint: Option<String>,
}

impl Client {
    /// Creates a client from the environment: `AWS_REGION`, `AWS_PROFILE`, keys, roles, and
    /// `AWS_ENDPOINT_URL` for an emulator. Gets credentials at once.
    pub async fn from_environment() -> Result<Self, Error> {
        Self::log_in(&Login::default()).await
    }

    /// Creates a client with a chosen profile, region or endpoint. Gets credentials at once, so that the error is not
    /// that of a later call.
    pub async fn log_in(login: &Login) -> Result<Self, Error> {
        Self::from_session(login.connect().await?)
    }

    /// Creates a client for an emulator such as moto, with dummy credentials.
    pub async fn emulator(url: &str) -> Result<Self, Error> {
        let login = Login {
            profile: None,
            region: Some("eu-central-1".to_owned()),
            endpoint_url: Some(url.to_owned()),
        };

        let mut session = login.load().await?;
        let credentials = Credentials::new("emulator", "emulator", None, None, "emulator");
        session.provider = SharedCredentialsProvider::new(credentials);
        session.config = session
            .config
            .into_builder()
            .credentials_provider(session.provider.clone())
            .build();
        Self::from_session(session)
    }

    fn from_session(session: Session) -> Result<Self, Error> {
        let transport = Transport::new(session.clone())?;
        Ok(Self {
            ecs: Ecs::new(&session, transport.http()),
            endpoint: session.endpoint_url(Service::Ecs.id()),
            region: session.region()?.to_string(),
            transport,
        })
    }

    /// Returns the region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the URL of the endpoint of an API.
    pub fn endpoint(&self, service: Service) -> Result<String, Error> {
        self.transport.endpoint(service)
    }

    /// Returns whether the endpoint is on this host: an emulator, which has no accounts.
    pub fn is_emulator(&self) -> bool {
        self.endpoint.as_deref().is_some_and(is_loopback)
    }

    /// Returns whether the endpoint of an API is on this host; each may have its own.
    pub fn is_on_this_host(&self, service: Service) -> bool {
        self.endpoint(service).is_ok_and(|url| is_loopback(&url))
    }
}

impl Api for Client {
    async fn call(&self, call: &Call) -> Result<Value, Error> {
        // The SDK sends what it knows; both return the document as it is.
        match self.ecs.call(call).await {
            Some(response) => response,
            None => self.transport.call(call).await,
        }
    }
}

/// Returns whether a URL is on this host.
fn is_loopback(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };

    let is_address = host
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| address.is_loopback());

    is_address || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn recognises_endpoints_on_this_host() {
        for url in [
            "http://127.0.0.1:5055",
            "http://localhost/",
            "http://[::1]:1",
            "http://127.9.9.9",
        ] {
            assert!(is_loopback(url), "{url}");
        }

        for url in [
            "https://ecs.eu-central-1.amazonaws.com",
            "http://127.0.0.1.example.com",
            "http://127.0.0.1@example.com/",
            "https://example.com/?127.0.0.1",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
