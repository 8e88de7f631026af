//! Which requests need what: an ordered list of method, host and path, first match wins.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::identity::{Credential, Identity, can_be_wanted, holds};
use crate::refusal::Refusal;
use crate::target::Target;

/// One rule as it is written in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The method, a list of methods, or `*` for any; methods are exact, `GET` does not mean `HEAD`.
    #[serde(default)]
    pub method: Methods,
    /// The host, or a list of hosts, without a port; `*.example.com` is for one label more; any without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<OneOrMore>,
    /// The path: `/healthz` exactly, `*` for one segment, `**` at the end for whatever follows.
    pub path: String,
    /// Whether no token is needed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub public: bool,
    /// The scopes a token must have, all of them; none means that any valid token will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// What claims must be, all of them: by name, or by JSON pointer as `/realm_access/roles`. A claim that
    /// is a list must have the value in it; of a list of values, any will do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, Value>,
    /// The kinds of credential that will do; any without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<Credential>,
}

/// The methods of a rule.
pub type Methods = OneOrMore;

/// One word or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

/// What a rule asks of whoever sends the request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Demand {
    /// All of these scopes.
    pub scopes: Vec<String>,
    /// All of these claims.
    pub claims: BTreeMap<String, Value>,
    /// One of these kinds of credential; any where there is none.
    pub credentials: Vec<Credential>,
}

impl Demand {
    /// Refuses who lacks a scope or a claim.
    pub(crate) fn check(&self, identity: &Identity) -> Result<(), Refusal> {
        let has_scope = |scope| identity.scopes.contains(scope);
        if !self.scopes.iter().all(has_scope) {
            let needed = self.scopes.clone();
            return Err(Refusal::Scope { needed });
        }

        let lacking = self.claims.iter().find(|(name, wanted)| {
            let found = identity.claims.get(*name);
            !found.is_some_and(|found| holds(wanted, found))
        });

        match lacking {
            Some((claim, _)) => Err(Refusal::Claim {
                claim: claim.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// What a request needs to be let through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Need<'r> {
    /// Nothing: the rule is public.
    Nothing,
    /// Somebody known who has what is demanded.
    Identity(&'r Demand),
    /// There are rules and none is for this request.
    NoRule,
}

/// The rules, read and found in order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    compiled: Vec<Compiled>,
    /// What is asked where there are no rules: that somebody be known.
    default: Demand,
}

/// What is wrong with a rule: its place in the list, and the fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// Where in the list, from 0.
    pub index: usize,
    /// What is wrong.
    pub fault: RuleFault,
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleFault {
    /// The path is one that no request can have.
    #[error("`path` is not a path that a request can have")]
    Path,
    /// The path has `**` before its end.
    #[error("`**` stands before the end of `path`")]
    Rest,
    /// The path has a `*` inside a segment.
    #[error("`*` stands for a whole segment, not for a part of one")]
    Part,
    /// The method is empty or not a method.
    #[error("`method` is not a method")]
    Method,
    /// A public rule asks for something.
    #[error("a `public` rule asks for `scopes`, `claims` or `credentials`")]
    PublicDemand,
    /// The host is none that a request can have.
    #[error("`host` is not a host, or a `*.` and a host")]
    Host,
    /// A claim has no name, or what is wanted of it can never be.
    #[error("`claims` wants something that no claim can be")]
    Claims,
    /// A scope is empty or has a space in it.
    #[error("a scope is empty or has a character that no scope can have")]
    Scope,
}

impl RuleFault {
    /// What to do about it.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Path => "begin it with `/` and leave out dots, doubled slashes and queries",
            Self::Rest => "move `**` to the end, or use `*` for one segment",
            Self::Part => "write the whole segment, or `*` for any",
            Self::Method => "write it in capitals, `GET`, or `*` for any",
            Self::PublicDemand => "remove one of the two",
            Self::Host => "write it in lower case and without a port: api.example.com",
            Self::Claims => "want a text, number or truth of it, or a list of such",
            Self::Scope => "write one scope per entry, without spaces or quotes",
        }
    }
}

impl Rules {
    /// Reads all rules, or says everything that is wrong with them.
    pub fn compile(rules: &[Rule]) -> Result<Self, Vec<RuleProblem>> {
        let mut compiled = Vec::new();
        let mut problems = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            match Compiled::new(rule) {
                Ok(rule) => compiled.push(rule),
                Err(fault) => problems.push(RuleProblem { index, fault }),
            }
        }

        if problems.is_empty() {
            Ok(Self {
                compiled,
                default: Demand::default(),
            })
        } else {
            Err(problems)
        }
    }

    /// What a request needs. Without any rules, every request needs a valid token.
    pub fn need(&self, method: &str, target: &Target) -> Need<'_> {
        match self.first(method, target) {
            Some(rule) if rule.public => Need::Nothing,
            Some(rule) => Need::Identity(&rule.demand),
            None if self.compiled.is_empty() => Need::Identity(&self.default),
            None => Need::NoRule,
        }
    }

    /// The place of the rule that decides, from 0.
    pub fn index(&self, method: &str, target: &Target) -> Option<usize> {
        self.compiled
            .iter()
            .position(|rule| rule.matches(method, target))
    }

    /// The claims that rules look at.
    pub fn claims(&self) -> impl Iterator<Item = &String> {
        self.compiled
            .iter()
            .flat_map(|rule| rule.demand.claims.keys())
    }

    fn first(&self, method: &str, target: &Target) -> Option<&Compiled> {
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
    /// All of them.
    pub fn list(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

#[derive(Clone, Debug)]
struct Compiled {
    /// Empty for any.
    methods: Vec<String>,
    /// Empty for any.
    hosts: Vec<String>,
    pattern: Vec<Segment>,
    rest: bool,
    public: bool,
    demand: Demand,
}

#[derive(Clone, Debug)]
enum Segment {
    Exactly(String),
    Any,
}

impl Compiled {
    fn new(rule: &Rule) -> Result<Self, RuleFault> {
        let demand = Demand {
            scopes: rule.scopes.clone(),
            claims: rule.claims.clone(),
            credentials: rule.credentials.clone(),
        };

        if rule.public && demand != Demand::default() {
            return Err(RuleFault::PublicDemand);
        }

        let sound = |(name, value): (&String, &Value)| !name.is_empty() && can_be_wanted(value);
        if !rule.claims.iter().all(sound) {
            return Err(RuleFault::Claims);
        }

        let hosts = rule.host.as_ref().map_or(&[][..], OneOrMore::list);
        if rule.host.is_some() && (hosts.is_empty() || !hosts.iter().all(|host| is_host(host))) {
            return Err(RuleFault::Host);
        }

        if !rule.scopes.iter().all(|scope| is_scope(scope)) {
            return Err(RuleFault::Scope);
        }

        let (pattern, rest) = pattern(&rule.path)?;
        Ok(Self {
            methods: methods(rule.method.list())?,
            hosts: hosts.to_vec(),
            pattern,
            rest,
            public: rule.public,
            demand,
        })
    }

    fn matches(&self, method: &str, target: &Target) -> bool {
        let segments = target.segments();
        let host = self.hosts.is_empty()
            || target
                .host()
                .is_some_and(|host| self.hosts.iter().any(|known| is_for_host(known, host)));
        let method = self.methods.is_empty() || self.methods.iter().any(|known| known == method);
        let length = if self.rest {
            segments.len() >= self.pattern.len()
        } else {
            segments.len() == self.pattern.len()
        };

        method
            && host
            && length
            && self
                .pattern
                .iter()
                .zip(segments)
                .all(|(want, is)| want.matches(is))
    }
}

impl Segment {
    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Exactly(text) => text == segment,
            Self::Any => !segment.is_empty(),
        }
    }
}

/// `*.example.com` is for `api.example.com`, not for `example.com` nor for `a.b.example.com`.
fn is_for_host(known: &str, host: &str) -> bool {
    let Some(domain) = known.strip_prefix('*') else {
        return known.eq_ignore_ascii_case(host);
    };
    let Some((label, rest)) = host
        .len()
        .checked_sub(domain.len())
        .and_then(|at| host.split_at_checked(at))
    else {
        return false;
    };

    rest.eq_ignore_ascii_case(domain) && !label.is_empty() && !label.contains('.')
}

fn is_host(text: &str) -> bool {
    let host = text.strip_prefix("*.").unwrap_or(text);
    let byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._[]:".contains(&byte);
    let bracketed = host.starts_with('[') && host.ends_with(']');
    !host.is_empty() && host.bytes().all(byte) && (bracketed || !host.contains(':'))
}

fn methods(list: &[String]) -> Result<Vec<String>, RuleFault> {
    match list {
        [one] if one == "*" => Ok(Vec::new()),
        [] => Err(RuleFault::Method),
        list if list.iter().all(|method| is_method(method)) => Ok(list.to_vec()),
        _ => Err(RuleFault::Method),
    }
}

/// Methods are case-sensitive, and the ones in use are upper-case: `get` would match nothing.
fn is_method(method: &str) -> bool {
    !method.is_empty()
        && method
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}

fn pattern(path: &str) -> Result<(Vec<Segment>, bool), RuleFault> {
    let target = Target::parse(path).map_err(|_| RuleFault::Path)?;
    if target.wire().query().is_some() {
        return Err(RuleFault::Path);
    }

    let (segments, rest) = match target.segments() {
        [before @ .., last] if last == "**" => (before, true),
        all => (all, false),
    };

    let segments = segments.iter().map(|text| match text.as_str() {
        "*" => Ok(Segment::Any),
        "**" => Err(RuleFault::Rest),
        text if text.contains('*') => Err(RuleFault::Part),
        text => Ok(Segment::Exactly(text.to_owned())),
    });

    Ok((segments.collect::<Result<_, _>>()?, rest))
}

/// RFC 6749 3.3.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty()
        && scope
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
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

    fn fault(json: &str) -> RuleFault {
        rules(json).unwrap_err()[0].fault
    }

    #[test]
    fn without_rules_every_request_needs_a_token() {
        let target = Target::parse("/x").unwrap();
        let any = Demand::default();
        assert_eq!(Rules::default().need("GET", &target), Need::Identity(&any));
    }

    #[test]
    fn with_rules_a_request_nobody_thought_of_is_refused() {
        let rules = rules(r#"[{"path":"/healthz","public":true}]"#).unwrap();
        assert_eq!(
            rules.need("GET", &Target::parse("/healthz").unwrap()),
            Need::Nothing
        );

        for path in ["/", "/healthz/", "/healthz/x", "/Healthz", "/health"] {
            assert_eq!(
                rules.need("GET", &Target::parse(path).unwrap()),
                Need::NoRule,
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
            ("HEAD", "/v1/coins", Some(3)),
            ("POST", "/v1/coins", Some(1)),
            ("PUT", "/v1/x", Some(1)),
            ("POST", "/v1/x/y", Some(3)),
            ("POST", "/v1/", Some(3)),
            ("GET", "/v1/admin", Some(2)),
            ("GET", "/v1/admin/", Some(2)),
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
        let demand = Demand {
            scopes: vec!["admin".to_owned(), "mfa".to_owned()],
            ..Demand::default()
        };
        assert_eq!(rules.need("GET", &admin), Need::Identity(&demand));
    }

    #[test]
    fn a_host_narrows_a_rule() {
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
            ("x.y.a.test", None),
            ("evil-a.test", None),
            ("admin.a.test.", None),
        ] {
            let target = Target::parse(&format!("https://{host}/x")).unwrap();
            assert_eq!(rules.index("GET", &target), index, "{host}");
        }

        let nobody = Target::parse("/x").unwrap();
        assert_eq!(rules.index("GET", &nobody), None);
    }

    #[test]
    fn who_lacks_a_scope_or_a_claim_is_refused() {
        let demand = Demand {
            scopes: vec!["coins.read".into()],
            claims: BTreeMap::from([("groups".into(), serde_json::json!(["ops", "dev"]))]),
            credentials: Vec::new(),
        };
        let mut identity = Identity::new(Credential::Token, None, "i".into());
        let refused = demand.check(&identity).unwrap_err();

        assert!(matches!(refused, Refusal::Scope { .. }));
        identity.scopes = vec!["coins.read".into()];
        let refused = demand.check(&identity).unwrap_err();
        assert_eq!(refused.word(), "claim");
        identity.claims = BTreeMap::from([("groups".into(), serde_json::json!(["dev"]))]);
        assert!(demand.check(&identity).is_ok());
    }

    #[test]
    fn refuses_rules_that_could_not_mean_what_they_say() {
        assert_eq!(fault(r#"[{"path":"healthz"}]"#), RuleFault::Path);
        assert_eq!(fault(r#"[{"path":"/a/../b"}]"#), RuleFault::Path);
        assert_eq!(fault(r#"[{"path":"/a?b"}]"#), RuleFault::Path);
        assert_eq!(fault(r#"[{"path":"/**/b"}]"#), RuleFault::Rest);
        assert_eq!(fault(r#"[{"path":"/a*"}]"#), RuleFault::Part);
        assert_eq!(
            fault(r#"[{"path":"/a","method":"get"}]"#),
            RuleFault::Method
        );

        assert_eq!(fault(r#"[{"path":"/a","method":[]}]"#), RuleFault::Method);
        assert_eq!(
            fault(r#"[{"path":"/a","method":["GET","*"]}]"#),
            RuleFault::Method
        );
        assert_eq!(
            fault(r#"[{"path":"/a","public":true,"scopes":["x"]}]"#),
            RuleFault::PublicDemand
        );

        for host in ["A.test", "a.test:80", "", "*", "a b"] {
            let rule = format!(r#"[{{"path":"/a","host":"{host}"}}]"#);
            assert_eq!(fault(&rule), RuleFault::Host, "{host}");
        }

        for claims in [r#"{"a":null}"#, r#"{"a":{}}"#, r#"{"a":[]}"#, r#"{"":1}"#] {
            let rule = format!(r#"[{{"path":"/a","claims":{claims}}}]"#);
            assert_eq!(fault(&rule), RuleFault::Claims, "{claims}");
        }

        assert_eq!(
            fault(r#"[{"path":"/a","scopes":["x y"]}]"#),
            RuleFault::Scope
        );
    }

    #[test]
    fn says_everything_that_is_wrong_at_once() {
        let problems = rules(r#"[{"path":"x"},{"path":"/ok"},{"path":"/a","method":"no!"}]"#);
        let places: Vec<_> = problems
            .unwrap_err()
            .iter()
            .map(|problem| problem.index)
            .collect();
        assert_eq!(places, [0, 2]);
    }

    #[test]
    fn a_misspelt_member_is_an_error() {
        assert!(serde_json::from_str::<Rule>(r#"{"path":"/a","scope":["x"]}"#).is_err());
    }
}
