//! Faults by rule: a test makes calls fail without changing the client.
//!
//! ```yaml
//! seed: 7                  # of the random numbers, so that a run can be repeated
//! rules:
//!   - operation: RunTask   # `*` is every operation
//!     kind: throttle-400
//!     nth: 2               # every second call …
//!     count: 3             # … three times in all
//!   - operation: DescribeTasks
//!     kind: delay
//!     delay_ms: 500
//!     probability: 0.1
//! ```

use std::time::Duration;

use diagnostics::Color;
use diagnostics::source::{Source, parse};
use serde::Deserialize;

use crate::Error;
use crate::api_error::ApiError;

/// The rules of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultRules {
    seed: u64,
    rules: Vec<FaultRule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    rules: Vec<FaultRule>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultRule {
    operation: String,
    kind: Kind,
    nth: Option<u64>,
    probability: Option<f64>,
    count: Option<u64>,
    delay_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    /// ThrottlingException with status 400, as ECS throttles.
    #[serde(rename = "throttle-400")]
    Throttle400,
    /// TooManyRequestsException with status 429.
    #[serde(rename = "throttle-429")]
    Throttle429,
    /// Throttling inside InvalidParameterException, as RunTask reports that of EC2.
    ThrottleInException,
    /// ServerException with status 500.
    ServerError,
    /// Service unavailable with status 503.
    Unavailable,
    /// AccessDeniedException.
    AccessDenied,
    /// RunTask: no capacity. The response is a success that contains failures.
    Capacity,
    /// Closes the connection; the operation is not carried out.
    Cut,
    /// Carries out the operation, and closes the connection instead of answering.
    CutAfter,
    /// Answers later.
    Delay,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    Error(ApiError),
    NoCapacity,
    Cut,
    CutAfter,
    Delay(Duration),
}

impl FaultRules {
    /// Reads rules from YAML or JSON; `file` is its name in error messages.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let invalid = |message: String| Error::Faults {
            file: file.to_owned(),
            message,
        };

        let node = parse(&Source::new(file, text)).map_err(|findings| {
            let texts = findings.iter().map(|finding| finding.render(Color::No));
            invalid(texts.collect::<Vec<_>>().join("\n"))
        })?;

        // The parser for manifests reads YAML and JSON, with limits on size and depth.
        let file = File::deserialize(node.to_json()).map_err(|why| invalid(why.to_string()))?;

        for (index, rule) in file.rules.iter().enumerate() {
            rule.check()
                .map_err(|why| invalid(format!("rule {}: {why}", index + 1)))?;
        }
        Ok(Self {
            seed: file.seed,
            rules: file.rules,
        })
    }
}

impl FaultRule {
    fn check(&self) -> Result<(), String> {
        if self.nth == Some(0) {
            return Err("`nth` counts from 1".to_owned());
        }
        if self
            .probability
            .is_some_and(|probability| !(0.0..=1.0).contains(&probability))
        {
            return Err("`probability` is between 0 and 1".to_owned());
        }
        // Together they could be read as one or the other.
        if self.nth.is_some() && self.probability.is_some() {
            return Err("a rule has `nth` or `probability`, not both".to_owned());
        }
        match (self.kind, self.delay_ms) {
            (Kind::Delay, None) => Err("a delay needs `delay_ms`".to_owned()),
            (Kind::Delay, Some(delay)) if delay > MAX_DELAY_MS => {
                Err(format!("`delay_ms` is at most {MAX_DELAY_MS}"))
            }
            (Kind::Delay, Some(_)) | (_, None) => Ok(()),
            (_, Some(_)) => Err("only a delay has `delay_ms`".to_owned()),
        }
    }

    fn fault(&self) -> Fault {
        let error = |code, message: &str| Fault::Error(ApiError::new(code, message));
        match self.kind {
            Kind::Throttle400 => error("ThrottlingException", "Rate exceeded"),
            Kind::Throttle429 => Fault::Error(
                ApiError::new("TooManyRequestsException", "Too Many Requests").with_status(429),
            ),
            Kind::ThrottleInException => error("InvalidParameterException", "Rate exceeded"),
            Kind::ServerError => {
                Fault::Error(ApiError::new("ServerException", "Service error.").with_status(500))
            }
            Kind::Unavailable => Fault::Error(
                ApiError::new("ServiceUnavailableException", "Service is unavailable.")
                    .with_status(503),
            ),
            Kind::AccessDenied => error(
                "AccessDeniedException",
                "User is not authorized to perform this operation because no identity-based policy allows it",
            ),
            Kind::Capacity => Fault::NoCapacity,
            Kind::Cut => Fault::Cut,
            Kind::CutAfter => Fault::CutAfter,
            Kind::Delay => Fault::Delay(Duration::from_millis(self.delay_ms.unwrap_or_default())),
        }
    }
}

/// The rules, and how often each has matched.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Vec<(FaultRule, Counter)>,
    random: fastrand::Rng,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counter {
    calls: u64,
    faults: u64,
}

impl Faults {
    pub(crate) fn new(rules: &FaultRules) -> Self {
        Self {
            rules: rules
                .rules
                .iter()
                .map(|rule| (rule.clone(), Counter::default()))
                .collect(),
            random: fastrand::Rng::with_seed(rules.seed),
        }
    }

    /// Returns what happens to a call of an operation: the fault of the first rule that applies.
    pub(crate) fn next(&mut self, operation: &str) -> Option<Fault> {
        let random = &mut self.random;
        let mut all = self
            .rules
            .iter_mut()
            .filter(|(rule, _)| rule.operation == "*" || rule.operation == operation);
        let (rule, counter) = all.find_map(|(rule, counter)| {
            // Only calls that reach this rule count: those that an earlier rule answers do not.
            counter.calls += 1;
            let is_due = match (rule.nth, rule.probability) {
                (Some(nth), _) => counter.calls.is_multiple_of(nth),
                (None, Some(probability)) => random.f64() < probability,
                (None, None) => true,
            };
            let is_left = rule.count.is_none_or(|count| counter.faults < count);
            (is_due && is_left).then_some((rule, counter))
        })?;

        counter.faults += 1;
        Some(rule.fault())
    }
}

const MAX_DELAY_MS: u64 = 600_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Faults {
        Faults::new(&FaultRules::parse("faults.yaml", text).unwrap())
    }

    #[test]
    fn every_second_call_fails_until_the_count_is_reached() {
        let mut faults =
            faults("rules: [{ operation: RunTask, kind: throttle-400, nth: 2, count: 2 }]");
        let failed: Vec<bool> = (0..8).map(|_| faults.next("RunTask").is_some()).collect();
        assert_eq!(
            failed,
            [false, true, false, true, false, false, false, false]
        );
        assert_eq!(faults.next("DescribeTasks"), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let text = "seed: 7\nrules: [{ operation: '*', kind: cut, probability: 0.5 }]";
        let run = || {
            let mut faults = faults(text);
            (0..64)
                .map(|_| faults.next("X").is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        let hits = run().into_iter().filter(|hit| *hit).count();
        assert!((16..=48).contains(&hits), "{hits}");
    }

    #[test]
    fn a_later_rule_applies_when_an_earlier_one_does_not() {
        let mut faults = faults(
            "rules:\n- { operation: RunTask, kind: capacity, count: 1 }\n- { operation: '*', kind: delay, delay_ms: 5 }",
        );
        assert_eq!(faults.next("RunTask"), Some(Fault::NoCapacity));
        assert_eq!(
            faults.next("RunTask"),
            Some(Fault::Delay(Duration::from_millis(5)))
        );
    }

    #[test]
    fn invalid_files_say_where_and_what() {
        for (text, expected) in [
            ("rules: [{ operation: X, kind: explode }]", "explode"),
            (
                "rules: [{ operation: X, kind: cut, nth: 0 }]",
                "rule 1: `nth`",
            ),
            (
                "rules: [{ operation: X, kind: cut, probability: 2 }]",
                "rule 1: `probability`",
            ),
            ("rules: [{ operation: X, kind: delay }]", "`delay_ms`"),
            ("rulse: []", "rulse"),
            ("rules: [", "faults.yaml"),
        ] {
            let error = FaultRules::parse("faults.yaml", text)
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
