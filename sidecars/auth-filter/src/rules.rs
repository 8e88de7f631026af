//! Authorization rules: an ordered list of method, host and path; the first match applies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::identity::{Credential, Identity, claim_matches};
use crate::rejection::Rejection;
use crate::target::Target;

mod compiled;

use compiled::CompiledRule;

/// One rule as written in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The method, a list of methods, or `*` for any; methods are exact, `GET` does not include
    /// `HEAD`.
    #[serde(default)]
    pub method: Methods,
    /// The host, or a list of hosts, without a port; `*.example.com` matches one more label; any
    /// host if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<OneOrMore>,
    /// The path: `/healthz` exactly, `*` for one segment, `**` at the end for any rest.
    pub path: String,
    /// Whether the request needs no credential.
    #[serde(default, skip_serializing_if = "is_false")]
    pub public: bool,
    /// Required scopes, all of them; none means that any valid credential is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Required claims, all of them: by name, or by JSON pointer such as `/realm_access/roles`. A
    /// list claim must contain the value; of a list of values, one must match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Value>,
    /// Alternatives besides `scopes` and `claims`, of which one must be satisfied: each with `scopes`,
    /// `claims` or both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub any_of: Vec<Alternative>,
    /// Accepted kinds of credential; any if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<Credential>,
}

/// One alternative of a rule: scopes and claims, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alternative {
    /// Required scopes, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Required claims, all of them, as in a rule.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Value>,
}

/// The methods of a rule.
pub type Methods = OneOrMore;

/// One string or a list of strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// A single string.
    One(String),
    /// A list.
    Several(Vec<String>),
}

/// What a rule requires of an identity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulePolicy {
    /// Required scopes, all of them.
    pub scopes: Vec<String>,
    /// Required claims, all of them.
    pub claims: BTreeMap<String, Value>,
    /// Alternatives of which one must be satisfied; none if empty.
    pub any_of: Vec<Alternative>,
    /// Accepted kinds of credential; any if empty.
    pub credentials: Vec<Credential>,
}

impl Rule {
    /// Returns the names of all claims that the rule evaluates.
    pub(crate) fn claim_names(&self) -> impl Iterator<Item = &String> {
        let alternatives = self.any_of.iter().flat_map(|either| either.claims.keys());
        self.claims.keys().chain(alternatives)
    }
}

impl Alternative {
    fn is_satisfied_by(&self, identity: &Identity) -> bool {
        has_scopes(identity, &self.scopes) && lacking_claim(identity, &self.claims).is_none()
    }
}

fn has_scopes(identity: &Identity, scopes: &[String]) -> bool {
    scopes.iter().all(|scope| identity.scopes.contains(scope))
}

/// Returns the first claim that is missing or does not match.
fn lacking_claim<'c>(
    identity: &Identity,
    claims: &'c BTreeMap<String, Value>,
) -> Option<&'c String> {
    let lacking = claims.iter().find(|(name, expected)| {
        let found = identity.claims.get(*name);
        !found.is_some_and(|found| claim_matches(expected, found))
    });
    lacking.map(|(name, _)| name)
}

impl RulePolicy {
    /// Rejects an identity without a required scope or claim, or without any of the alternatives.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), Rejection> {
        if !has_scopes(identity, &self.scopes) {
            let needed = self.scopes.clone();
            return Err(Rejection::Scope { needed });
        }

        if let Some(claim) = lacking_claim(identity, &self.claims) {
            let claim = claim.clone();
            return Err(Rejection::Claim { claim });
        }

        let mut alternatives = self.any_of.iter();
        let satisfied = alternatives.any(|either| either.is_satisfied_by(identity));
        if satisfied || self.any_of.is_empty() {
            Ok(())
        } else {
            Err(Rejection::NoAlternative)
        }
    }
}

/// What a request needs to be forwarded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Requirement<'r> {
    /// Nothing: the rule is public.
    Public,
    /// An identity that satisfies the policy.
    Identity(&'r RulePolicy),
    /// There are rules and none matches.
    NoRule,
}

/// The compiled rules, in order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    compiled: Vec<CompiledRule>,
    /// The policy without rules: any valid credential.
    default: RulePolicy,
}

/// An invalid rule: its index and the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// Its index in the list, from 0.
    pub index: usize,
    /// The error.
    pub error: RuleError,
}

/// Why a rule is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No request can have the path.
    #[error("`path` is not a path that a request can have")]
    Path,
    /// An alternative requires nothing, so that every credential satisfies it.
    #[error("an entry of `any_of` has neither `scopes` nor `claims`")]
    Alternative,
    /// The path has `**` before its end.
    #[error("`**` is not at the end of `path`")]
    Rest,
    /// The path has a `*` inside a segment.
    #[error("`*` matches a whole segment, not a part of one")]
    Part,
    /// The method is empty or not a method.
    #[error("`method` is not a method")]
    Method,
    /// A public rule has requirements.
    #[error("a `public` rule has `scopes`, `claims`, `any_of` or `credentials`")]
    PublicWithRequirements,
    /// No request can have the host.
    #[error("`host` is not a host, or a `*.` and a host")]
    Host,
    /// A claim has no name, or its expected value cannot occur.
    #[error("`claims` expects a value that no claim can have")]
    Claims,
    /// A scope is empty or has a space in it.
    #[error("a scope is empty or has an invalid character")]
    Scope,
}

impl RuleError {
    /// Returns how to fix it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Path => "begin it with `/` and leave out dots, doubled slashes and queries",
            Self::Alternative => "give each entry `scopes` or `claims`, or remove `any_of`",
            Self::Rest => "move `**` to the end, or use `*` for one segment",
            Self::Part => "write the whole segment, or `*` for any",
            Self::Method => "write it in capitals, `GET`, or `*` for any",
            Self::PublicWithRequirements => "remove one of the two",
            Self::Host => "write it in lower case and without a port: api.example.com",
            Self::Claims => "expect a string, number or boolean, or a list of them",
            Self::Scope => "write one scope per entry, without spaces or quotes",
        }
    }
}

impl Rules {
    /// Compiles all rules, or returns all problems.
    pub fn compile(rules: &[Rule]) -> Result<Self, Vec<RuleProblem>> {
        let mut compiled = Vec::new();
        let mut problems = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            match CompiledRule::new(rule) {
                Ok(rule) => compiled.push(rule),
                Err(error) => problems.push(RuleProblem { index, error }),
            }
        }

        if problems.is_empty() {
            Ok(Self {
                compiled,
                default: RulePolicy::default(),
            })
        } else {
            Err(problems)
        }
    }

    /// Returns what a request needs. Without rules every request needs a valid credential.
    pub fn requirement(&self, method: &str, target: &Target) -> Requirement<'_> {
        match self.first(method, target) {
            Some(rule) if rule.public => Requirement::Public,
            Some(rule) => Requirement::Identity(&rule.policy),
            None if self.compiled.is_empty() => Requirement::Identity(&self.default),
            None => Requirement::NoRule,
        }
    }

    /// Returns the index of the matching rule, from 0.
    pub fn index(&self, method: &str, target: &Target) -> Option<usize> {
        self.compiled
            .iter()
            .position(|rule| rule.matches(method, target))
    }

    /// Returns the claims used by rules.
    pub fn claims(&self) -> impl Iterator<Item = &String> {
        self.compiled
            .iter()
            .flat_map(|rule| &rule.policy.any_of)
            .flat_map(|either| either.claims.keys())
            .chain(
                self.compiled
                    .iter()
                    .flat_map(|rule| rule.policy.claims.keys()),
            )
    }

    fn first(&self, method: &str, target: &Target) -> Option<&CompiledRule> {
        self.compiled
            .iter()
            .find(|rule| rule.matches(method, target))
    }
}

impl Default for OneOrMore {
    fn default() -> Self {
        Self::One("*".into())
    }
}

impl OneOrMore {
    /// Returns all strings as a slice.
    pub fn list(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(several) => several,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for this signature"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Result<Rules, Vec<RuleProblem>> {
        Rules::compile(&serde_json::from_str::<Vec<Rule>>(json).unwrap())
    }

    fn error(json: &str) -> RuleError {
        rules(json).unwrap_err()[0].error
    }

    #[test]
    fn without_rules_every_request_needs_a_credential() {
        let target = Target::parse("/x").unwrap();
        let any = RulePolicy::default();
        assert_eq!(
            Rules::default().requirement("GET", &target),
            Requirement::Identity(&any)
        );
    }

    #[test]
    fn with_rules_rejects_unmatched_requests() {
        let rules = rules(r#"[{"path":"/healthz","public":true}]"#).unwrap();
        assert_eq!(
            rules.requirement("GET", &Target::parse("/healthz").unwrap()),
            Requirement::Public
        );

        for path in ["/", "/healthz/", "/healthz/x", "/Healthz", "/health"] {
            assert_eq!(
                rules.requirement("GET", &Target::parse(path).unwrap()),
                Requirement::NoRule,
                "{path}"
            );
        }
    }

    #[test]
    fn the_first_match_wins() {
        let rules = rules(
            r#"[{"method":"GET","path":"/v1/coins","scopes":["coins.read"]},
                {"method":["POST","PUT"],"path":"/v1/*","scopes":["coins.write"]},
                {"path":"/v1/admin/**","scopes":["admin","mfa"]},
                {"path":"/v1/**"}]"#,
        )
        .unwrap();

        for (method, path, index) in [
            ("GET", "/v1/coins", Some(0)),
            // `GET` does not include `HEAD`.
            ("HEAD", "/v1/coins", Some(3)),
            ("POST", "/v1/coins", Some(1)),
            ("PUT", "/v1/x", Some(1)),
            ("POST", "/v1/x/y", Some(3)),
            ("POST", "/v1/", Some(3)),
            ("GET", "/v1/admin", Some(2)),
            ("GET", "/v1/admin/", Some(2)),
            // Escapes are decoded before matching.
            ("GET", "/v1/%61dmin/x", Some(2)),
            ("GET", "/v1/administrator", Some(3)),
            ("GET", "/v1", Some(3)),
            ("GET", "/v10", None),
            ("GET", "/", None),
        ] {
            let target = Target::parse(path).unwrap();
            assert_eq!(rules.index(method, &target), index, "{method} {path}");
        }

        let admin = Target::parse("/v1/admin/x").unwrap();
        let policy = RulePolicy {
            scopes: vec!["admin".to_owned(), "mfa".to_owned()],
            ..RulePolicy::default()
        };
        assert_eq!(
            rules.requirement("GET", &admin),
            Requirement::Identity(&policy)
        );
    }

    #[test]
    fn matches_rules_by_host() {
        let rules = rules(
            r#"[{"host":"admin.a.test","path":"/**","scopes":["admin"]},
                {"host":["*.a.test","a.test"],"path":"/**","public":true}]"#,
        )
        .unwrap();

        for (host, index) in [
            ("admin.a.test", Some(0)),
            ("ADMIN.a.test:8443", Some(0)),
            ("api.a.test", Some(1)),
            ("a.test", Some(1)),
            // A wildcard matches exactly one label.
            ("x.y.a.test", None),
            ("evil-a.test", None),
            ("admin.a.test.", None),
        ] {
            let target = Target::parse(&format!("https://{host}/x")).unwrap();
            assert_eq!(rules.index("GET", &target), index, "{host}");
        }

        let without_host = Target::parse("/x").unwrap();
        assert_eq!(rules.index("GET", &without_host), None);
    }

    #[test]
    fn rejects_alternatives_that_everyone_satisfies() {
        let json = r#"[{"path":"/","any_of":[{"scopes":["a"]},{}]}]"#;
        assert_eq!(error(json), RuleError::Alternative);
        let json = r#"[{"path":"/","public":true,"any_of":[{"scopes":["a"]}]}]"#;
        assert_eq!(error(json), RuleError::PublicWithRequirements);
        let json = r#"[{"path":"/","any_of":[{"scopes":["a b"]}]}]"#;
        assert_eq!(error(json), RuleError::Scope);
        let json = r#"[{"path":"/","any_of":[{"claims":{"a":{}}}]}]"#;
        assert_eq!(error(json), RuleError::Claims);
    }

    #[test]
    fn rejects_missing_scopes_and_claims() {
        let policy = RulePolicy {
            scopes: vec!["coins.read".into()],
            claims: BTreeMap::from([("groups".into(), serde_json::json!(["ops", "dev"]))]),
            ..RulePolicy::default()
        };
        let mut identity = Identity::new(Credential::Token, None, "i".into());
        let rejection = policy.check(&identity).unwrap_err();

        assert!(matches!(rejection, Rejection::Scope { .. }));
        // Scopes are checked first, then claims.
        identity.scopes = vec!["coins.read".into()];
        let rejection = policy.check(&identity).unwrap_err();
        assert_eq!(rejection.as_str(), "claim");
        identity.claims = BTreeMap::from([("groups".into(), serde_json::json!(["dev"]))]);
        assert!(policy.check(&identity).is_ok());
    }

    #[test]
    fn rejects_invalid_rules() {
        assert_eq!(error(r#"[{"path":"healthz"}]"#), RuleError::Path);
        assert_eq!(error(r#"[{"path":"/a/../b"}]"#), RuleError::Path);
        assert_eq!(error(r#"[{"path":"/a?b"}]"#), RuleError::Path);
        assert_eq!(error(r#"[{"path":"/**/b"}]"#), RuleError::Rest);
        assert_eq!(error(r#"[{"path":"/a*"}]"#), RuleError::Part);
        assert_eq!(
            error(r#"[{"path":"/a","method":"get"}]"#),
            RuleError::Method
        );

        assert_eq!(error(r#"[{"path":"/a","method":[]}]"#), RuleError::Method);
        assert_eq!(
            error(r#"[{"path":"/a","method":["GET","*"]}]"#),
            RuleError::Method
        );
        assert_eq!(
            error(r#"[{"path":"/a","public":true,"scopes":["x"]}]"#),
            RuleError::PublicWithRequirements
        );

        // Upper case, ports, wildcards alone and spaces cannot match a normalized host.
        for host in ["A.test", "a.test:80", "", "*", "a b"] {
            let rule = format!(r#"[{{"path":"/a","host":"{host}"}}]"#);
            assert_eq!(error(&rule), RuleError::Host, "{host}");
        }

        for claims in [r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":[]}"#, r#"{"":1}"#] {
            let rule = format!(r#"[{{"path":"/a","claims":{claims}}}]"#);
            assert_eq!(error(&rule), RuleError::Claims, "{claims}");
        }

        assert_eq!(
            error(r#"[{"path":"/a","scopes":["x y"]}]"#),
            RuleError::Scope
        );
    }

    #[test]
    fn reports_all_problems_together() {
        let problems = rules(r#"[{"path":"x"},{"path":"/ok"},{"path":"/a","method":"no!"}]"#);
        let places: Vec<_> = problems
            .unwrap_err()
            .iter()
            .map(|problem| problem.index)
            .collect();
        assert_eq!(places, [0, 2]);
    }

    #[test]
    fn rejects_unknown_rule_fields() {
        assert!(serde_json::from_str::<Rule>(r#"{"path":"/a","scope":["x"]}"#).is_err());
    }
}
