//! Asking a registry: the questions, the retries, and what of the answers is believed.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::auth::{Challenge, Token, basic};
use crate::credentials::{Credentials, Login};
use crate::digest::Digest;
use crate::error::{Error, Problem};
use crate::manifest::{self, Config, Image, Manifest, Platform};
use crate::reference::Reference;
use crate::transport::{Answer, Transport};

/// Asks registries.
#[derive(Clone, Debug)]
pub struct Client {
    transport: Transport,
    credentials: Credentials,
    limits: Limits,
}

/// How much a registry may take of time and memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// One request, from the name of the host to the last byte.
    pub time: Duration,
    /// One answer; the specification asks registries to refuse manifests over 4 MiB.
    pub bytes: usize,
    /// How often a busy or failing registry is asked again.
    pub retries: u32,
    /// The longest wait between two questions; one who asks for more is not asked again.
    pub wait: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30),
            bytes: 4 * 1024 * 1024,
            retries: 3,
            wait: Duration::from_secs(20),
        }
    }
}

impl Client {
    /// A client with these logins.
    pub fn new(credentials: Credentials, limits: Limits) -> Result<Self, rustls::Error> {
        Ok(Self {
            transport: Transport::new(limits)?,
            credentials,
            limits,
        })
    }

    /// The image that a reference stands for now, checked to run on these platforms.
    pub async fn resolve(&self, image: &str, wanted: &[Platform]) -> Result<Image, Error> {
        let outcome = self.resolve_problem(image, wanted).await;
        outcome.map_err(|problem| Error {
            image: image.to_owned(),
            problem,
        })
    }

    async fn resolve_problem(&self, image: &str, wanted: &[Platform]) -> Result<Image, Problem> {
        let mut visit = Visit {
            client: self,
            reference: image.parse()?,
            authorization: None,
        };
        let image = visit.image().await?;

        match wanted.iter().find(|one| !image.platforms.contains(one)) {
            None => Ok(image),
            Some(missing) => Err(Problem::NoPlatform {
                wanted: missing.to_string(),
                has: image.platforms.iter().map(ToString::to_string).collect(),
            }),
        }
    }
}

/// The questions about one image; a token that was got for the first serves the others.
struct Visit<'c> {
    client: &'c Client,
    reference: Reference,
    authorization: Option<String>,
}

impl Visit<'_> {
    async fn image(&mut self) -> Result<Image, Problem> {
        let path = format!("manifests/{}", self.reference.which());
        let answer = self.ask(&path, manifest::ACCEPT).await?;
        let digest = self.verified(&answer)?;
        let manifest: Manifest = self.json(&answer)?;
        let kind = manifest
            .media_type
            .as_deref()
            .or(answer.header("content-type"));

        if manifest.schema_version != 2 {
            let kind = kind.unwrap_or("manifest of another version");
            return Err(Problem::Kind(kind.chars().take(100).collect()));
        }

        let platforms = match (&manifest.manifests, &manifest.config) {
            (Some(_), _) => manifest.platforms(),
            (None, Some(config)) => self.platform(&config.digest).await?.into_iter().collect(),
            (None, None) => {
                let kind = kind.unwrap_or("manifest without a config");
                return Err(Problem::Kind(kind.chars().take(100).collect()));
            }
        };

        Ok(Image { digest, platforms })
    }

    /// The hash of what came, which must be what was asked for and what the header says.
    fn verified(&self, answer: &Answer) -> Result<Digest, Problem> {
        let found = Digest::of(&answer.body);
        let asked = self.reference.digest().map(Digest::as_str);
        let said = asked.or(answer.header("docker-content-digest"));
        match said {
            // A registry may name it by another hash, which says nothing about this one.
            Some(said) if said.starts_with("sha256:") && said != found.as_str() => {
                Err(Problem::Lie {
                    host: self.host(),
                    said: said.chars().take(100).collect(),
                    found,
                })
            }
            _ => Ok(found),
        }
    }

    /// The platform of an image without variants stands in its config, a blob known by its hash.
    async fn platform(&mut self, digest: &str) -> Result<Option<Platform>, Problem> {
        let digest: Digest = digest
            .parse()
            .map_err(|fault| self.no_registry(&format!("its manifest says that {fault}")))?;
        let answer = self.ask(&format!("blobs/{digest}"), "*/*").await?;
        let found = Digest::of(&answer.body);

        if found != digest {
            return Err(Problem::Lie {
                host: self.host(),
                said: digest.to_string(),
                found,
            });
        }

        Ok(self.json::<Config>(&answer)?.platform())
    }

    /// Asks, logs in when told to, and asks again.
    async fn ask(&mut self, path: &str, accept: &str) -> Result<Answer, Problem> {
        let scheme = if self.reference.is_local() {
            "http"
        } else {
            "https"
        };

        let (host, repository) = (self.reference.host(), self.reference.repository());
        let url = format!("{scheme}://{host}/v2/{repository}/{path}");
        let answer = self.get(&url, accept, self.authorization.clone()).await?;
        let answer = if answer.status == StatusCode::UNAUTHORIZED {
            let login = self.client.credentials.login(&self.reference).await?;
            self.authorization = self.answer_to(&answer, login.as_ref()).await?;
            let again = self.get(&url, accept, self.authorization.clone()).await?;
            self.checked(again, login.as_ref())?
        } else {
            self.checked(answer, None)?
        };

        if answer.status.is_redirection() && path.starts_with("blobs/") {
            return self.followed(answer, accept).await;
        }
        if answer.status != StatusCode::OK {
            return Err(self.status(&answer));
        }

        Ok(answer)
    }

    /// Blobs are kept elsewhere; their hash is known, so it does not matter who has them.
    async fn followed(&self, mut answer: Answer, accept: &str) -> Result<Answer, Problem> {
        for _ in 0..MOST_REDIRECTS {
            let Some(url) = answer.header("location").map(str::to_owned) else {
                break;
            };

            // The address is signed; a login is nothing for its owner.
            answer = self.get(&url, accept, None).await?;
            if answer.status == StatusCode::OK {
                return Ok(answer);
            }

            if !answer.status.is_redirection() {
                break;
            }
        }

        Err(self.status(&answer))
    }

    async fn get(
        &self,
        url: &str,
        accept: &str,
        authorization: Option<String>,
    ) -> Result<Answer, Problem> {
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(self.address(url)?)
            .header(ACCEPT, accept);

        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(Bytes::new()));

        self.patiently(request.map_err(|error| self.no_registry(&error.to_string()))?)
            .await
    }

    /// Asks again where the registry is busy or unwell, as often and as late as the limits say.
    async fn patiently(&self, request: Request<Full<Bytes>>) -> Result<Answer, Problem> {
        let limits = self.client.limits;
        let mut attempt = 0;
        loop {
            let answer = self.client.transport.send(request.clone()).await?;
            let is_busy = answer.status == StatusCode::TOO_MANY_REQUESTS;
            if !is_busy && !answer.status.is_server_error() {
                return Ok(answer);
            }

            let asked = answer.header("retry-after").and_then(retry_after);
            let wait = asked.unwrap_or(FIRST_WAIT * 2_u32.pow(attempt.min(6)));
            if attempt >= limits.retries || wait > limits.wait {
                return Err(if is_busy {
                    Problem::Busy {
                        host: self.host(),
                        wait: asked,
                    }
                } else {
                    self.status(&answer)
                });
            }

            attempt += 1;
            tokio::time::sleep(wait).await;
        }
    }

    /// What to send along, by what the registry wants and who we are.
    async fn answer_to(
        &self,
        answer: &Answer,
        login: Option<&Login>,
    ) -> Result<Option<String>, Problem> {
        let headers = answer.headers.get_all("www-authenticate");
        let mut challenges = headers
            .iter()
            .filter_map(|one| Challenge::parse(one.to_str().ok()?));

        match challenges.next() {
            None => Err(self.no_registry("401 without a challenge that is known")),
            Some(Challenge::Basic) => match login.and_then(basic) {
                Some(basic) => Ok(Some(basic)),
                None => Err(self.denied(login)),
            },
            Some(Challenge::Bearer {
                realm,
                service,
                scope,
            }) => {
                let scope = scope
                    .unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository()));
                let token = self
                    .token(&realm, service.as_deref(), &scope, login)
                    .await?;
                Ok(Some(format!("Bearer {token}")))
            }
        }
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        login: Option<&Login>,
    ) -> Result<String, Problem> {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let mut query = format!("scope={}", encoded(scope));
        if let Some(service) = service {
            query.push_str("&service=");
            query.push_str(&encoded(service));
        }

        let answer = if let Some(Login::IdentityToken(token)) = login {
            query.push_str("&grant_type=refresh_token&client_id=assemble&refresh_token=");
            query.push_str(&encoded(token));
            let request = Request::builder()
                .method(Method::POST)
                .uri(self.address(realm)?)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Full::new(Bytes::from(query)));

            self.patiently(request.map_err(|error| self.no_registry(&error.to_string()))?)
                .await?
        } else {
            let mark = if realm.contains('?') { '&' } else { '?' };
            let url = format!("{realm}{mark}{query}");
            self.get(&url, "application/json", login.and_then(basic))
                .await?
        };

        let answer = self.checked(answer, login)?;
        if answer.status != StatusCode::OK {
            return Err(self.status(&answer));
        }

        let token = self.json::<Token>(&answer)?.text();
        token.ok_or_else(|| self.no_registry("an answer without a token"))
    }

    /// An address that a registry sent us to: https, or http on this machine for one that is here too.
    fn address(&self, url: &str) -> Result<Uri, Problem> {
        let uri: Uri = url
            .parse()
            .map_err(|_| self.no_registry("an address that is none"))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(_)) => Ok(uri),
            (Some("http"), Some(_)) if self.reference.is_local() => Ok(uri),
            (Some("http"), Some(host)) => Err(Problem::Plain(host.to_owned())),
            _ => Err(self.no_registry("an address that is not https")),
        }
    }

    /// Refusals, which every question can meet.
    fn checked(&self, answer: Answer, login: Option<&Login>) -> Result<Answer, Problem> {
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.denied(login)),
            StatusCode::NOT_FOUND => Err(Problem::NotThere {
                host: self.host(),
                said: said(&answer),
            }),
            _ => Ok(answer),
        }
    }

    fn denied(&self, login: Option<&Login>) -> Problem {
        Problem::denied(&self.reference, login.map(|login| login.user().to_owned()))
    }

    fn json<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, Problem> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            let kind = answer.header("content-type").unwrap_or("no type");
            let kind: String = kind.chars().take(60).collect();
            match error.classify() {
                serde_json::error::Category::Data => self.no_registry(&error.to_string()),
                _ => self.no_registry(&format!("{kind}, not JSON")),
            }
        })
    }

    fn status(&self, answer: &Answer) -> Problem {
        Problem::Status {
            host: self.host(),
            status: answer.status.as_u16(),
            said: said(answer),
        }
    }

    fn no_registry(&self, what: &str) -> Problem {
        Problem::NoRegistry {
            host: self.host(),
            what: what.to_owned(),
        }
    }

    fn host(&self) -> String {
        self.reference.registry().to_owned()
    }
}

/// The first message of the errors a registry lists, if it is short and plain.
fn said(answer: &Answer) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let message = value.pointer("/errors/0/message")?.as_str()?;
    let plain = message.chars().filter(|c| !c.is_control());
    Some(plain.take(200).collect())
}

/// Seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

const MOST_REDIRECTS: usize = 5;
const FIRST_WAIT: Duration = Duration::from_millis(500);
