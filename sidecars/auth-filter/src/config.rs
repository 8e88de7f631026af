//! Everything about the filter that can be set from outside.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use chassis::http::{Limits, UpstreamLimits};
use chassis::{Period, Problem, Settings};
use http::Uri;
use http::uri::PathAndQuery;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::claims::Policy;
use crate::jws::Algorithm;
use crate::keys::{Fetcher, Origin, PlainHttp, Roots, RootsFault, Source, SourceFault, Timing};
use crate::rules::{Rule, Rules};

/// The settings of the filter.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address the filter listens on, for HTTP/1 and cleartext HTTP/2.
    pub listen: SocketAddr,
    /// Base address of the next hop, without a path: `http://127.0.0.1:8080`.
    #[schemars(url)]
    pub upstream: String,
    /// Allows an upstream outside of this task, where anybody may walk around the filter.
    pub insecure_upstream: bool,
    /// The one issuer whose tokens are believed, exactly as it stands in `iss`.
    pub issuer: String,
    /// The audience a token must be for, exactly as it stands in `aud`.
    pub audience: String,
    /// Where the key set is: a path, or a `file:`, `https:` or loopback `http:` address. Without it
    /// the issuer's OpenID configuration is asked.
    pub jwks: Option<String>,
    /// How often the key set is loaded again.
    pub jwks_refresh: Period,
    /// The least time between two loads that tokens with an unknown key id can cause.
    pub jwks_cooldown: Period,
    /// How long keys are believed while the key set cannot be loaded.
    pub jwks_max_stale: Period,
    /// PEM file of the authorities believed when keys are fetched; the public ones without it.
    pub jwks_ca: Option<PathBuf>,
    /// Allows keys over plain http from another machine: whoever stands in between decides.
    pub insecure_jwks_http: bool,
    /// The signature algorithms that are accepted, of those that the key is for.
    pub algorithms: Vec<Algorithm>,
    /// How far the clocks of issuer and filter may be apart.
    pub leeway: Period,
    /// Which requests need what, first match first: `method`, `path`, and `public` or `scopes`.
    /// Without rules any valid token passes; with rules a request that none is for is refused.
    pub rules: Vec<Rule>,
    /// Leaves a checked `Authorization` header in the request instead of removing it.
    pub forward_authorization: bool,
    /// Limits of the listener.
    pub limits: Limits,
    /// Limits of the upstream.
    pub upstream_limits: UpstreamLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8081)),
            upstream: String::new(),
            insecure_upstream: false,
            issuer: String::new(),
            audience: String::new(),
            jwks: None,
            jwks_refresh: Period::from_secs(300),
            jwks_cooldown: Period::from_secs(30),
            jwks_max_stale: Period::from_secs(24 * 3600),
            jwks_ca: None,
            insecure_jwks_http: false,
            algorithms: Algorithm::ALL.to_vec(),
            leeway: Period::from_secs(60),
            rules: Vec::new(),
            forward_authorization: false,
            limits: Limits::default(),
            upstream_limits: UpstreamLimits::default(),
        }
    }
}

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = self.missing();
        problems.extend(self.upstream_problem());
        problems.extend(self.jwks_problem());
        if self.algorithms.is_empty() {
            let hint = "name at least one, or leave the setting out for all";
            problems.push(Problem::new("algorithms", "is empty", hint));
        }
        if self.leeway.duration() > MAX_LEEWAY.duration() {
            let hint = format!("set at most {MAX_LEEWAY}, and the clocks right");
            problems.push(Problem::new(
                "leeway",
                "keeps expired tokens alive too long",
                hint,
            ));
        }
        if self.jwks_refresh.is_zero() {
            let hint = "set how often to load the keys, such as 5m";
            problems.push(Problem::new("jwks_refresh", "is no time at all", hint));
        }
        problems.extend(self.rule_problems());
        problems
    }
}

impl Config {
    /// What every token must say.
    pub fn policy(&self) -> Policy {
        Policy {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            leeway: self.leeway.duration(),
        }
    }

    /// Where the keys come from.
    pub fn origin(&self) -> Result<Origin, OriginFault> {
        let source = self.source()?;
        let fetcher = self.fetcher()?;
        Ok(Origin::new(source, fetcher, self.algorithms.clone()))
    }

    /// What fetches the keys; reads the certificate authorities.
    pub(crate) fn fetcher(&self) -> Result<Fetcher, RootsFault> {
        let roots = self.jwks_ca.clone().map_or(Roots::Public, Roots::File);
        let plain = if self.insecure_jwks_http {
            PlainHttp::Anywhere
        } else {
            PlainHttp::Loopback
        };
        Fetcher::new(&roots, plain)
    }

    /// How fresh the keys are kept.
    pub fn timing(&self) -> Timing {
        Timing {
            refresh: self.jwks_refresh.duration(),
            cooldown: self.jwks_cooldown.duration(),
            max_stale: self.jwks_max_stale.duration(),
        }
    }

    fn source(&self) -> Result<Source, SourceFault> {
        Source::new(self.jwks.as_deref().unwrap_or_default(), &self.issuer)
    }

    fn missing(&self) -> Vec<Problem> {
        let required = [
            (
                "upstream",
                &self.upstream,
                "set the address of the next hop: http://127.0.0.1:8080",
            ),
            (
                "issuer",
                &self.issuer,
                "set the text that good tokens have in `iss`",
            ),
            (
                "audience",
                &self.audience,
                "set the text that tokens for this app have in `aud`",
            ),
        ];
        let missing = required
            .into_iter()
            .filter(|(_, value, _)| value.is_empty());
        missing
            .map(|(name, _, hint)| Problem::new(name, "is required", hint))
            .collect()
    }

    fn upstream_problem(&self) -> Option<Problem> {
        if self.upstream.is_empty() {
            return None;
        }
        let problem = |message: &str, hint: &str| Some(Problem::new("upstream", message, hint));
        let form = "write it like http://127.0.0.1:8080";
        let Ok(url) = self.upstream.parse::<Uri>() else {
            return problem("is not an address", form);
        };
        let (Some("http"), Some(host)) = (url.scheme_str(), url.host()) else {
            return problem("is not an http address with a host", form);
        };
        // A path before the path would make what is forwarded another target than was judged.
        if !matches!(
            url.path_and_query().map(PathAndQuery::as_str),
            None | Some("/")
        ) {
            return problem("has a path", form);
        }
        if !self.insecure_upstream && !is_loopback(host) {
            let hint = "use a loopback address, or set `insecure_upstream`";
            return problem(
                "leaves this task, where the filter can be walked around",
                hint,
            );
        }
        None
    }

    fn jwks_problem(&self) -> Option<Problem> {
        if self.issuer.is_empty() && self.jwks.is_none() {
            return None;
        }
        let fault = self.source().err()?;
        let hint = "write a path, an https address, or leave it out when `issuer` is an https one";
        Some(Problem::new(
            "jwks",
            format!("names no place to load keys from: {fault}"),
            hint,
        ))
    }

    fn rule_problems(&self) -> Vec<Problem> {
        let faults = Rules::compile(&self.rules).err().unwrap_or_default();
        let problem = |fault: crate::rules::RuleProblem| {
            let message = format!("rule {}: {}", fault.index + 1, fault.fault);
            Problem::new("rules", message, fault.fault.hint())
        };
        faults.into_iter().map(problem).collect()
    }
}

/// Why keys cannot be loaded from where the settings say.
#[derive(Debug, thiserror::Error)]
pub enum OriginFault {
    /// The place is none.
    #[error(transparent)]
    Source(#[from] SourceFault),
    /// The authorities are none.
    #[error(transparent)]
    Roots(#[from] RootsFault),
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

const MAX_LEEWAY: Period = Period::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Config {
        Config {
            upstream: "http://127.0.0.1:8080".into(),
            issuer: "https://issuer.test".into(),
            audience: "coins".into(),
            ..Config::default()
        }
    }

    fn settings_with_problems(config: &Config) -> Vec<String> {
        config
            .problems()
            .into_iter()
            .map(|problem| problem.setting)
            .collect()
    }

    #[test]
    fn three_settings_are_required_and_enough() {
        assert_eq!(
            settings_with_problems(&Config::default()),
            ["upstream", "issuer", "audience"]
        );
        assert!(good().problems().is_empty());
    }

    #[test]
    fn refuses_an_upstream_that_can_be_walked_around() {
        for upstream in [
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost:1/",
        ] {
            let config = Config {
                upstream: upstream.into(),
                ..good()
            };
            assert!(config.problems().is_empty(), "{upstream}");
        }
        for upstream in [
            "http://10.0.0.1",
            "http://app:80",
            "https://127.0.0.1",
            "http://127.0.0.1/v1",
            "x",
        ] {
            let config = Config {
                upstream: upstream.into(),
                ..good()
            };
            assert_eq!(settings_with_problems(&config), ["upstream"], "{upstream}");
        }
        let upstream = "http://10.0.0.1".into();
        assert!(
            Config {
                upstream,
                insecure_upstream: true,
                ..good()
            }
            .problems()
            .is_empty()
        );
    }

    #[test]
    fn says_everything_that_is_wrong_at_once() {
        let config = Config {
            issuer: "no address".into(),
            algorithms: Vec::new(),
            leeway: Period::from_secs(3600),
            jwks_refresh: Period::from_secs(0),
            rules: serde_json::from_str(r#"[{"path":"x"},{"path":"/y"},{"path":"/**/z"}]"#)
                .unwrap(),
            ..good()
        };
        let wrong = [
            "jwks",
            "algorithms",
            "leeway",
            "jwks_refresh",
            "rules",
            "rules",
        ];
        assert_eq!(settings_with_problems(&config), wrong);
    }
}
