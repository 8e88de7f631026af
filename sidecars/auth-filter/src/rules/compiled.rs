//! A validated rule, in the form that requests are compared with.

use serde_json::Value;

use super::{OneOrMore, Rule, RuleError, RulePolicy};
use crate::identity::is_valid_expectation;
use crate::target::Target;

/// A rule that can be compared with requests.
#[derive(Clone, Debug)]
pub(super) struct CompiledRule {
    /// Empty for any.
    methods: Vec<String>,
    /// Empty for any.
    hosts: Vec<String>,
    pattern: Vec<Segment>,
    rest: bool,
    pub(super) public: bool,
    pub(super) policy: RulePolicy,
}

#[derive(Clone, Debug)]
enum Segment {
    Exact(String),
    Any,
}

impl CompiledRule {
    pub(super) fn new(rule: &Rule) -> Result<Self, RuleError> {
        let policy = RulePolicy {
            scopes: rule.scopes.clone(),
            claims: rule.claims.clone(),
            any_of: rule.any_of.clone(),
            credentials: rule.credentials.clone(),
        };

        // A contradiction: requirements on a public rule would never be checked.
        if rule.public && policy != RulePolicy::default() {
            return Err(RuleError::PublicWithRequirements);
        }

        let is_valid =
            |(name, value): (&String, &Value)| !name.is_empty() && is_valid_expectation(value);
        let mut alternatives = rule.any_of.iter();
        let mut claims = rule
            .any_of
            .iter()
            .flat_map(|either| &either.claims)
            .chain(&rule.claims);
        if !claims.all(is_valid) {
            return Err(RuleError::Claims);
        }

        if alternatives.any(|either| either.scopes.is_empty() && either.claims.is_empty()) {
            return Err(RuleError::Alternative);
        }

        let hosts = rule.host.as_ref().map_or(&[][..], OneOrMore::list);
        if rule.host.is_some() && (hosts.is_empty() || !hosts.iter().all(|host| is_host(host))) {
            return Err(RuleError::Host);
        }

        let alternatives = rule.any_of.iter().flat_map(|either| &either.scopes);
        if !rule
            .scopes
            .iter()
            .chain(alternatives)
            .all(|scope| is_scope(scope))
        {
            return Err(RuleError::Scope);
        }

        let (pattern, rest) = pattern(&rule.path)?;
        Ok(Self {
            methods: methods(rule.method.list())?,
            hosts: hosts.to_vec(),
            pattern,
            rest,
            public: rule.public,
            policy,
        })
    }

    pub(super) fn matches(&self, method: &str, target: &Target) -> bool {
        let segments = target.segments();
        let host = self.hosts.is_empty()
            || target
                .host()
                .is_some_and(|host| self.hosts.iter().any(|pattern| is_for_host(pattern, host)));
        let method =
            self.methods.is_empty() || self.methods.iter().any(|pattern| pattern == method);
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
                .all(|(expected, actual)| expected.matches(actual))
    }
}

impl Segment {
    fn matches(&self, segment: &str) -> bool {
        match self {
            Self::Exact(text) => text == segment,
            Self::Any => !segment.is_empty(),
        }
    }
}

/// Returns whether a pattern matches a host. `*.example.com` matches `api.example.com`, but neither
/// `example.com` nor `a.b.example.com`.
fn is_for_host(pattern: &str, host: &str) -> bool {
    let Some(domain) = pattern.strip_prefix('*') else {
        return pattern.eq_ignore_ascii_case(host);
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
    let is_host_byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._[]:".contains(&byte);
    // IPv6 hosts are written in brackets; any other `:` would start a port.
    let bracketed = host.starts_with('[') && host.ends_with(']');
    !host.is_empty() && host.bytes().all(is_host_byte) && (bracketed || !host.contains(':'))
}

fn methods(list: &[String]) -> Result<Vec<String>, RuleError> {
    match list {
        [method] if method == "*" => Ok(Vec::new()),
        [] => Err(RuleError::Method),
        list if list.iter().all(|method| is_method(method)) => Ok(list.to_vec()),
        _ => Err(RuleError::Method),
    }
}

/// Returns whether a method is valid. Methods are case-sensitive and those in use are upper-case:
/// `get` would match nothing.
fn is_method(method: &str) -> bool {
    !method.is_empty()
        && method
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}

fn pattern(path: &str) -> Result<(Vec<Segment>, bool), RuleError> {
    // The same parser as for requests, so a pattern cannot describe a path that is always rejected.
    let target = Target::parse(path).map_err(|_| RuleError::Path)?;
    if target.wire().query().is_some() {
        return Err(RuleError::Path);
    }

    // Only the last segment may be `**`; any other is reported below.
    let (segments, rest) = match target.segments() {
        [before @ .., last] if last == "**" => (before, true),
        all => (all, false),
    };

    let segments = segments.iter().map(|text| match text.as_str() {
        "*" => Ok(Segment::Any),
        "**" => Err(RuleError::Rest),
        text if text.contains('*') => Err(RuleError::Part),
        text => Ok(Segment::Exact(text.to_owned())),
    });

    Ok((segments.collect::<Result<_, _>>()?, rest))
}

/// Returns whether a scope matches `scope-token` of RFC 6749 section 3.3.
fn is_scope(scope: &str) -> bool {
    !scope.is_empty()
        && scope
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
}
