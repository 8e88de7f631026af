//! Validation of settings: reports all problems together.

use std::collections::HashSet;

use chassis::http::{Upstream, is_loopback};
use chassis::{HumanDuration, Problem, Settings};
use http::uri::PathAndQuery;
use http::{HeaderName, Uri};

use super::{Config, TrustedIssuer, source};
use crate::claims::{TENANT, is_template, is_tenant_id};
use crate::credentials::{CertificateRule, External};
use crate::headers::claim_header_name;
use crate::identity::is_valid_expectation;
use crate::identity_token::IdentityTokens;
use crate::rules::Rules;

impl Settings for Config {
    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.upstream_problem());
        problems.extend(self.issuer_problems());
        problems.extend(self.key_problems());
        problems.extend(self.api_key_problems());
        problems.extend(self.other_credential_problems());
        problems.extend(self.rule_problems());
        problems.extend(self.identity_problems());
        problems
    }
}

impl Config {
    /// Returns whether any kind of credential is configured.
    fn has_credentials(&self) -> bool {
        !self.all_issuers().is_empty()
            || self.has_api_keys()
            || self.alb.is_enabled()
            || !self.client_certificates.is_empty()
            || self.external.url.is_some()
            || self.introspection.url.is_some()
    }

    fn upstream_problem(&self) -> Option<Problem> {
        let problem = |message: &str, hint: &str| Some(Problem::new("upstream", message, hint));
        if self.upstream.is_empty() {
            let hint = "set the address of the next hop: http://127.0.0.1:8080";
            return problem("is required", hint);
        }

        let form = "write it like http://127.0.0.1:8080";
        let (protocol, limits) = (self.upstream_protocol, self.upstream_limits.clone());
        if let Err(error) = Upstream::with_protocol(protocol, &self.upstream, limits) {
            return problem(&format!("is not valid: {}", error.reason()), form);
        }
        let url = self.upstream.parse::<Uri>().ok()?;
        let host = url.host()?;

        // A base path would make the forwarded target differ from the authorized one.
        if !matches!(
            url.path_and_query().map(PathAndQuery::as_str),
            None | Some("/")
        ) {
            return problem("has a path", form);
        }

        if !self.insecure_upstream && !is_loopback(host) {
            let hint = "use a loopback address, or set `insecure_upstream`";
            return problem(
                "is outside of this task, where clients may bypass the filter",
                hint,
            );
        }

        None
    }

    fn issuer_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let problem = |setting: &str, message: &str, hint: &str| {
            Problem::new(setting, message.to_owned(), hint.to_owned())
        };

        if !self.has_credentials() {
            let hint = "set `issuer` and `audience`, or `issuers`, `api_keys`, `alb.signers`, \
                        `client_certificates`, `introspection.url` or `external.url`";
            problems.push(problem(
                "issuer",
                "is not set, and no other credential is configured",
                hint,
            ));
        }

        // `audience` or `jwks` alone shows that an issuer was intended.
        let has_settings = !self.audience.is_empty() || self.jwks.is_some();
        if self.issuer.is_empty() && has_settings && self.has_credentials() {
            let hint = "set the issuer that valid tokens have in `iss`";
            problems.push(problem("issuer", "is required", hint));
        }

        if is_template(&self.issuer) {
            let hint = "list it in `issuers`, with its `tenants`";
            problems.push(problem("issuer", "is a template for several tenants", hint));
        }

        if !self.issuer.is_empty() && self.audience.is_empty() {
            let hint = "set the audience that tokens for this app have in `aud`";
            problems.push(problem("audience", "is required", hint));
        }

        if !self.issuer.is_empty()
            && let Some(error) = self
                .all_issuers()
                .first()
                .and_then(|issuer| source(issuer).err())
        {
            let message = format!("is not the location of a key set: {error}");
            problems.push(problem("jwks", &message, NO_PLACE));
        }

        let mut seen: HashSet<&str> = HashSet::from([self.issuer.as_str()]);
        for (index, issuer) in self.issuers.iter().enumerate() {
            let is_duplicate = !seen.insert(&issuer.issuer);
            for (message, hint) in issuer_entry_problems(issuer, is_duplicate) {
                let message = format!("issuer {} (`{}`): {message}", index + 1, issuer.issuer);
                problems.push(problem("issuers", &message, hint));
            }
        }

        problems
    }

    fn key_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.algorithms.is_empty() {
            let hint = "list at least one, or omit the setting for all";
            problems.push(Problem::new("algorithms", "is empty", hint));
        }

        if self.leeway.duration() > MAX_LEEWAY.duration() {
            let hint = format!("set at most {MAX_LEEWAY} and synchronize the clocks");
            problems.push(Problem::new(
                "leeway",
                "accepts expired tokens for too long",
                hint,
            ));
        }

        if self.jwks_refresh_interval.is_zero() {
            let hint = "set how often to load the keys, such as 5m";
            problems.push(Problem::new("jwks_refresh_interval", "is zero", hint));
        }

        problems
    }

    fn api_key_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let header = self.api_key_header.parse::<HeaderName>();
        let reserved = ["authorization", "host", "cookie", "content-length"];
        if header.is_err() || reserved.contains(&self.api_key_header.to_ascii_lowercase().as_str())
        {
            let hint = "use a separate header, such as x-api-key";
            problems.push(Problem::new(
                "api_key_header",
                "cannot carry API keys",
                hint,
            ));
        }

        let hint = "create entries with `auth-filter api-key ID`";
        let list = |keys: &[_]| {
            let header = HeaderName::from_static("x-api-key");
            crate::credentials::ApiKeys::new(header, keys, None).err()
        };

        if let Some(error) = list(&self.api_keys) {
            problems.push(Problem::new("api_keys", error.to_string(), hint));
        } else {
            // The parser's message would quote the secret, so a fixed text is used.
            match self.static_api_keys() {
                Err(_) => problems.push(Problem::new(
                    "api_keys_secret",
                    "is not a JSON list of API keys",
                    hint,
                )),
                Ok(keys) => {
                    if let Some(error) = list(&keys) {
                        problems.push(Problem::new("api_keys_secret", error.to_string(), hint));
                    }
                }
            }
        }

        problems
    }

    fn other_credential_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(arn) = self.alb.invalid_signer() {
            let message = format!(
                "`{arn}` is not the ARN of an Application Load Balancer in the region of the first"
            );
            let hint = "write arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID";
            problems.push(Problem::new("alb.signers", message, hint));
        }

        let is_unspecific = |rule: &CertificateRule| !rule.is_specific();
        if let Some(index) = self.client_certificates.iter().position(is_unspecific) {
            let message = format!("certificate {}: matches any certificate", index + 1);
            let hint = "restrict it by `uri`, `dns`, `subject` or `sha256`";
            problems.push(Problem::new("client_certificates", message, hint));
        }

        if let Some((setting, header)) = self.external.invalid_header() {
            let message = format!("`{header}` is not the name of a header that can be passed on");
            let hint = "use header names, without those of connections, lengths and the identity";
            problems.push(Problem::new(setting, message, hint));
        }

        if let Some((setting, message, hint)) = self.introspection.problem() {
            problems.push(Problem::new(setting, message, hint));
        }
        problems.extend(self.browser_problems());

        problems.extend(self.external.url.as_ref().and_then(|url| {
            let problem = |message: String, hint: &str| Problem::new("external.url", message, hint);
            let hint = "write it like http://127.0.0.1:9000";
            let error = External::new(url, &self.external).err();
            if let Some(error) = error {
                return Some(problem(format!("is not valid: {}", error.reason()), hint));
            }

            let uri: Uri = url.parse().ok()?;
            let outside = !uri.host().is_some_and(is_loopback) && !self.insecure_external;
            let hint = "use a loopback address, or set `insecure_external`";
            outside.then(|| problem("is outside of this task over plain http".to_owned(), hint))
        }));

        if self.failures.limit > 0 && self.failures.window.is_zero() {
            let hint = "set how long failures are counted, such as 1m";
            problems.push(Problem::new("failures.window", "is zero", hint));
        }

        problems
    }

    fn browser_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let Some(setting) = self.token_sources.invalid() {
            let message = "is not a name of letters, digits, `-`, `.` and `_`";
            problems.push(Problem::new(setting, message, "use another name"));
        }

        if let Some(origin) = self.cors.invalid_origin() {
            let message = format!("`{origin}` is not an origin that a browser sends");
            let hint = "write it in lower case and without a path: https://app.example.com";
            problems.push(Problem::new("cors.origins", message, hint));
        }

        if self.cors.credentials && self.cors.is_wildcard() {
            let hint = "list the origins whose pages may use the cookies of users";
            let message = "would be set for every origin";
            problems.push(Problem::new("cors.credentials", message, hint));
        }

        if self.cors.forward_preflights && self.cors.origins.is_empty() {
            let hint = "list the origins in `cors.origins`";
            let message = "is set, but no origin is accepted";
            problems.push(Problem::new("cors.forward_preflights", message, hint));
        }

        problems
    }

    fn rule_problems(&self) -> Vec<Problem> {
        let rule_problems = Rules::compile(&self.rules).err().unwrap_or_default();
        let to_problem = |problem: crate::rules::RuleProblem| {
            let message = format!("rule {}: {}", problem.index + 1, problem.error);
            Problem::new("rules", message, problem.error.hint())
        };
        rule_problems.into_iter().map(to_problem).collect()
    }

    fn identity_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let names = self.claim_headers.keys();
        for name in names.filter(|name| claim_header_name(name).is_none()) {
            let message =
                format!("`{name}` is invalid after `x-auth-` in a header name, or reserved");
            let hint =
                "use letters, digits and `-`, and not subject, issuer, scopes, client or token";
            problems.push(Problem::new("claim_headers", message, hint));
        }

        let settings = &self.identity_token;
        if !settings.key.is_empty() {
            if let Err(error) = IdentityTokens::new(settings.clone()) {
                let hint =
                    "create one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256";
                problems.push(Problem::new("identity_token.key", error.to_string(), hint));
            }
            if settings.lifetime.is_zero() {
                let hint = "set how long the app accepts it, such as 1m";
                problems.push(Problem::new("identity_token.lifetime", "is zero", hint));
            }
        }

        problems
    }
}

fn issuer_entry_problems(
    issuer: &TrustedIssuer,
    is_duplicate: bool,
) -> Vec<(String, &'static str)> {
    let mut problems = Vec::new();
    if is_duplicate || issuer.issuer.is_empty() {
        let hint = "list each issuer once, with all its audiences in one list";
        problems.push(("is empty or duplicated".to_owned(), hint));
    }

    let audiences = issuer.audience.list();
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        let hint = "list the audiences that tokens for this app have in `aud`";
        problems.push(("`audience` is empty".to_owned(), hint));
    }

    problems.extend(tenant_problem(issuer));

    if issuer.jwks.is_some() && issuer.metadata.is_some() {
        let message = "`jwks` and `metadata` are both set".to_owned();
        problems.push((message, "keep `metadata`, which says where the keys are"));
    } else if let Err(error) = source(issuer) {
        let message = format!("`jwks` is not the location of a key set: {error}");
        problems.push((message, NO_PLACE));
    }

    let valid = issuer
        .required
        .iter()
        .all(|(name, value)| !name.is_empty() && is_valid_expectation(value));

    if !valid {
        let message = "`required` expects a value that no claim can have".to_owned();
        let hint = "expect a string, number or boolean, or a list of them";
        problems.push((message, hint));
    }

    problems
}

/// Returns the problem of an issuer whose tenants would all be accepted, or none.
fn tenant_problem(issuer: &TrustedIssuer) -> Option<(String, &'static str)> {
    let is_valid = |tenant: &String| tenant == "*" || is_tenant_id(tenant);
    if issuer.issuer.matches(TENANT).count() > 1 {
        let hint = "write it as in `issuer` of the metadata of Microsoft Entra ID";
        return Some((format!("has `{TENANT}` more than once"), hint));
    }

    match (is_template(&issuer.issuer), &issuer.tenants[..]) {
        // Anyone can create a tenant, so accepting all of them must be written down.
        (true, []) => Some((
            "`tenants` is empty".to_owned(),
            "list the ids of the accepted tenants, or `*` for any",
        )),
        (false, [_, ..]) => Some((
            format!("has `tenants`, but no `{TENANT}` in `issuer`"),
            "write the issuer like https://login.microsoftonline.com/{tenantid}/v2.0",
        )),
        (_, tenants) if tenants.iter().all(is_valid) => None,
        _ => Some((
            "`tenants` has an entry that is no UUID".to_owned(),
            "use the id of the tenant, not its domain",
        )),
    }
}

// Ten minutes is far beyond the skew of NTP-synchronized clocks.
const MAX_LEEWAY: HumanDuration = HumanDuration::from_secs(600);

const NO_PLACE: &str = "set a path or an https URL, or omit it when `issuer` is an https URL";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::ExternalSettings;
    use chassis::Secret;
    use serde_json::json;

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
    fn requires_upstream_issuer_and_audience() {
        assert_eq!(
            settings_with_problems(&Config::default()),
            ["upstream", "issuer"]
        );
        assert!(good().problems().is_empty());

        let half = |issuer: &str, audience: &str| Config {
            issuer: issuer.into(),
            audience: audience.into(),
            ..good()
        };
        let lacking = settings_with_problems(&half("https://issuer.test", ""));

        assert_eq!(lacking, ["audience"]);
        let lacking = settings_with_problems(&half("", "coins"));
        assert_eq!(lacking, ["issuer"]);
    }

    #[test]
    fn rejects_urls_with_a_password_without_repeating_it() {
        let config = Config {
            upstream: "http://user:secret@127.0.0.1:8080".into(),
            jwks: Some("https://user:secret@issuer.test/keys".into()),
            external: ExternalSettings {
                url: Some("http://user:secret@127.0.0.1:9000".into()),
                ..ExternalSettings::default()
            },
            ..good()
        };
        let problems = config.problems();
        let settings: Vec<&str> = problems.iter().map(|p| p.setting.as_str()).collect();
        assert_eq!(settings, ["upstream", "jwks", "external.url"]);
        assert!(!format!("{problems:?}").contains("secret"), "{problems:?}");
    }

    #[test]
    fn introspection_needs_client_credentials_and_a_safe_url() {
        let check = |url: &str, id: &str, secret: &str| {
            let introspection = serde_json::from_value(json!({
                "url": url, "client_id": id, "client_secret": secret,
            }));
            settings_with_problems(&Config {
                introspection: introspection.unwrap(),
                ..good()
            })
        };
        let url = "https://issuer.test/introspect";
        assert!(check(url, "filter", "x").is_empty());
        assert_eq!(check(url, "", "x"), ["introspection.client_id"]);
        assert_eq!(check(url, "filter", ""), ["introspection.client_secret"]);
        let plain = "http://issuer.test/introspect";
        assert_eq!(check(plain, "filter", "x"), ["introspection.url"]);
    }

    #[test]
    fn rejects_issuer_templates_without_tenants() {
        let tenant = "11111111-2222-3333-4444-555555555555";
        let template = "https://login.test/{tenantid}/v2.0";
        let twice = "https://login.test/{tenantid}/{tenantid}";
        for (issuer, tenants, is_valid) in [
            (template, json!([tenant]), true),
            (template, json!(["*"]), true),
            (template, json!([]), false),
            (template, json!(["example.com"]), false),
            (twice, json!([tenant]), false),
            ("https://login.test/v2.0", json!([tenant]), false),
        ] {
            let entry = json!({"issuer": issuer, "audience": "coins", "tenants": tenants});
            let config = Config {
                issuers: vec![serde_json::from_value(entry).unwrap()],
                ..good()
            };
            assert_eq!(config.problems().is_empty(), is_valid, "{issuer} {tenants}");
        }

        let config = Config {
            issuer: template.into(),
            ..good()
        };
        assert_eq!(settings_with_problems(&config), ["issuer"]);
    }

    #[test]
    fn rejects_an_upstream_outside_the_task() {
        // Loopback is shared by the containers of a task and by nothing else.
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
            // Outside of the task, TLS, a base path, and no URL at all.
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
    fn reports_all_problems_together() {
        let config = Config {
            issuer: "no address".into(),
            algorithms: Vec::new(),
            leeway: HumanDuration::from_secs(3600),
            jwks_refresh_interval: HumanDuration::from_secs(0),
            rules: serde_json::from_str(r#"[{"path":"x"},{"path":"/y"},{"path":"/**/z"}]"#)
                .unwrap(),
            ..good()
        };

        // One entry per problem, in the order of the checks; two of the three rules are invalid.
        let expected = [
            "jwks",
            "algorithms",
            "leeway",
            "jwks_refresh_interval",
            "rules",
            "rules",
        ];
        assert_eq!(settings_with_problems(&config), expected);
    }

    #[test]
    fn accepts_any_single_kind_of_credential() {
        // 64 hexadecimal digits are a SHA-256.
        let hash = "a".repeat(64);
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/b";
        for settings in [
            json!({"issuers": [{"issuer": "https://a.test", "audience": ["x", "y"]}]}),
            json!({"api_keys": [{"id": "a", "sha256": hash}]}),
            json!({"api_keys_secret": format!(r#"[{{"id":"a","sha256":"{hash}"}}]"#)}),
            json!({"alb": {"signers": [arn]}}),
            json!({"client_certificates": [{"dns": "job.a.test"}]}),
            json!({"external": {"url": "http://127.0.0.1:9000/check"}}),
        ] {
            let mut config: Config = serde_json::from_value(settings.clone()).unwrap();
            config.upstream = "http://127.0.0.1:1".into();
            assert!(settings_with_problems(&config).is_empty(), "{settings}");
        }
    }

    #[test]
    fn rejects_invalid_credential_settings() {
        let https = "https://issuer.test";
        for (settings, wrong) in [
            (
                json!({"issuers": [{"issuer": https, "audience": "x"}]}),
                "issuers",
            ),
            (
                json!({"issuers": [{"issuer": "x", "audience": "x"}]}),
                "issuers",
            ),
            (
                json!({"issuers": [{"issuer": "https://a.test", "audience": []}]}),
                "issuers",
            ),
            (
                json!({"api_keys": [{"id": "a", "sha256": "x"}]}),
                "api_keys",
            ),
            (json!({"api_key_header": "authorization"}), "api_key_header"),
            (json!({"alb": {"signers": ["front"]}}), "alb.signers"),
            (
                json!({"client_certificates": [{"id": "any"}]}),
                "client_certificates",
            ),
            (
                json!({"client_certificates": [{"uri": "*"}]}),
                "client_certificates",
            ),
            (
                json!({"external": {"url": "http://10.0.0.1"}}),
                "external.url",
            ),
            (
                json!({"external": {"url": "https://127.0.0.1"}}),
                "external.url",
            ),
            (
                json!({"external": {"headers": ["a b"]}}),
                "external.headers",
            ),
            (
                json!({"claim_headers": {"subject": "sub"}}),
                "claim_headers",
            ),
            (
                json!({"identity_token": {"key": "x"}}),
                "identity_token.key",
            ),
        ] {
            let mut config: Config = serde_json::from_value(settings.clone()).unwrap();
            config.upstream = "http://127.0.0.1:1".into();
            config.issuer = https.into();
            config.audience = "x".into();
            assert_eq!(settings_with_problems(&config), [wrong], "{settings}");
        }
    }

    #[test]
    fn does_not_print_an_invalid_secret() {
        let config = Config {
            api_keys_secret: Secret::new("hunter2"),
            ..good()
        };
        let problems = config.problems();
        assert_eq!(problems[0].setting, "api_keys_secret");
        assert!(!format!("{problems:?}").contains("hunter2"));
    }
}
