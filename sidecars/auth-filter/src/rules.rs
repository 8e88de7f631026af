//! Which requests need what: an ordered list of method and path, first match wins.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::target::Target;

/// One rule as it is written in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The method, a list of methods, or `*` for any; methods are exact, `GET` does not mean `HEAD`.
    #[serde(default)]
    pub method: Methods,
    /// The path: `/healthz` exactly, `*` for one segment, `**` at the end for whatever follows.
    pub path: String,
    /// Whether no token is needed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub public: bool,
    /// The scopes a token must have, all of them; none means that any valid token will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// The methods of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Methods {
    /// One method, or `*`.
    One(String),
    /// Several methods.
    Several(Vec<String>),
}

/// What a request needs to be let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need<'r> {
    /// Nothing: the rule is public.
    Nothing,
    /// A valid token with all of these scopes.
    Token(&'r [String]),
    /// There are rules and none is for this request.
    NoRule,
}

/// The rules, read and found in order.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    compiled: Vec<Compiled>,
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
    /// A public rule asks for scopes.
    #[error("a `public` rule asks for `scopes`")]
    PublicScopes,
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
            Self::PublicScopes => "remove one of the two",
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
            Ok(Self { compiled })
        } else {
            Err(problems)
        }
    }

    /// What a request needs. Without any rules, every request needs a valid token.
    pub fn need(&self, method: &str, target: &Target) -> Need<'_> {
        match self.first(method, target) {
            Some(rule) if rule.public => Need::Nothing,
            Some(rule) => Need::Token(&rule.scopes),
            None if self.compiled.is_empty() => Need::Token(&[]),
            None => Need::NoRule,
        }
    }

    /// The place of the rule that decides, from 0.
    pub fn index(&self, method: &str, target: &Target) -> Option<usize> {
        self.compiled
            .iter()
            .position(|rule| rule.matches(method, target.segments()))
    }

    fn first(&self, method: &str, target: &Target) -> Option<&Compiled> {
        self.compiled
            .iter()
            .find(|rule| rule.matches(method, target.segments()))
    }
}

impl Default for Methods {
    fn default() -> Self {
        Self::One("*".into())
    }
}

impl Methods {
    fn list(&self) -> &[String] {
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
    pattern: Vec<Segment>,
    rest: bool,
    public: bool,
    scopes: Vec<String>,
}

#[derive(Clone, Debug)]
enum Segment {
    Exactly(String),
    Any,
}

impl Compiled {
    fn new(rule: &Rule) -> Result<Self, RuleFault> {
        if rule.public && !rule.scopes.is_empty() {
            return Err(RuleFault::PublicScopes);
        }
        if !rule.scopes.iter().all(|scope| is_scope(scope)) {
            return Err(RuleFault::Scope);
        }
        let (pattern, rest) = pattern(&rule.path)?;
        Ok(Self {
            methods: methods(rule.method.list())?,
            pattern,
            rest,
            public: rule.public,
            scopes: rule.scopes.clone(),
        })
    }

    fn matches(&self, method: &str, segments: &[String]) -> bool {
        let method = self.methods.is_empty() || self.methods.iter().any(|known| known == method);
        let length = if self.rest {
            segments.len() >= self.pattern.len()
        } else {
            segments.len() == self.pattern.len()
        };
        method
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
        assert_eq!(Rules::default().need("GET", &target), Need::Token(&[]));
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
        assert_eq!(
            rules.need("GET", &admin),
            Need::Token(&["admin".to_owned(), "mfa".to_owned()])
        );
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
            RuleFault::PublicScopes
        );
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
