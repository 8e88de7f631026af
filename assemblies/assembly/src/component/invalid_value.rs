//! Checks the value of a setting against its declaration in `component.yaml`.

use std::net::SocketAddr;
use std::time::Duration;

use diagnostics::nearest;
use serde_json::Value;

use super::{SettingDeclaration, SettingFormat, SettingKind};

/// Why a value is invalid, as a phrase that follows the setting's name, and a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InvalidValue {
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl SettingDeclaration {
    /// Checks a value of the right type, as the manifest has it.
    pub(crate) fn check(&self, value: &Value) -> Option<InvalidValue> {
        match value {
            Value::Array(items) => items.iter().find_map(|item| self.check_item(item)),
            Value::Object(_) | Value::Null => None,
            Value::String(text) => self.check_scalar(text),
            other => self.check_scalar(&other.to_string()),
        }
    }

    /// Parses the text of an environment variable, if it has the setting's type. A list of strings may be
    /// separated by commas.
    pub(crate) fn parse(&self, text: &str) -> Option<Value> {
        match self.kind {
            SettingKind::Array if !text.trim_start().starts_with('[') => {
                let items = text.split(',').map(|item| Value::from(item.trim()));
                (self.items == Some(SettingKind::String)).then(|| items.collect())
            }
            SettingKind::Array | SettingKind::Object => {
                let value = serde_json::from_str(text).ok()?;
                self.kind.text(&value).map(|_| value)
            }
            kind => {
                let value = Value::from(text);
                kind.text(&value).map(|_| value)
            }
        }
    }

    fn check_item(&self, item: &Value) -> Option<InvalidValue> {
        if let Some(kind) = self.items.filter(|kind| kind.text(item).is_none()) {
            return Some(InvalidValue {
                message: format!("holds {item}, which is not {}", kind.description()),
                hint: format!("write {} for each item", kind.description()),
            });
        }
        self.check_choice(item.as_str()?)
    }

    fn check_scalar(&self, text: &str) -> Option<InvalidValue> {
        self.check_choice(text)
            .or_else(|| self.check_range(text))
            .or_else(|| self.format.and_then(|format| format.check(text)))
    }

    fn check_choice(&self, word: &str) -> Option<InvalidValue> {
        if self.choices.is_empty() || self.choices.iter().any(|choice| choice == word) {
            return None;
        }

        // A typing error gets its correction, any other value the list of choices.
        let near = nearest(word, self.choices.iter().map(String::as_str));
        let hint = near.map_or_else(
            || format!("choose one of: {}", self.choices.join(", ")),
            |near| format!("write `{near}`"),
        );

        Some(InvalidValue {
            message: format!("cannot be `{word}`"),
            hint,
        })
    }

    fn check_range(&self, text: &str) -> Option<InvalidValue> {
        // Text in the manifest may be an interpolated number, so the text is parsed.
        let number: f64 = match self.kind {
            SettingKind::Integer | SettingKind::Number => text.parse().ok()?,
            _ => return None,
        };

        let is_small = self.min.is_some_and(|min| number < min);
        let is_large = self.max.is_some_and(|max| number > max);
        let hint = match (self.min, self.max) {
            (Some(min), Some(max)) => format!("write a number from {min} to {max}"),
            (Some(min), None) => format!("write {min} or more"),
            (None, Some(max)) => format!("write {max} or less"),
            (None, None) => return None,
        };

        (is_small || is_large).then(|| InvalidValue {
            message: format!("cannot be {text}"),
            hint,
        })
    }
}

impl SettingFormat {
    /// Parses a duration as the programs do: digits and one unit, without sign, fraction or space.
    pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let count: u64 = digits.parse().ok()?;
        let milliseconds = match &text[digits.len()..] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        Some(Duration::from_millis(count.saturating_mul(milliseconds)))
    }

    fn check(self, text: &str) -> Option<InvalidValue> {
        // Programs treat an empty text as "not set"; the program decides whether it needs the setting.
        if text.is_empty() || self.accepts(text) {
            return None;
        }
        let (what, hint) = match self {
            Self::Address => ("an address to listen on", "write `127.0.0.1:PORT`"),
            Self::Duration => (
                "a duration",
                "write a whole number with `ms`, `s`, `m` or `h`: `30s`",
            ),
            Self::Uri => ("a URL", "write `http://HOST:PORT` or `https://HOST`"),
        };

        Some(InvalidValue {
            message: format!("is `{text}`, which is not {what}"),
            hint: hint.to_owned(),
        })
    }

    fn accepts(self, text: &str) -> bool {
        match self {
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Duration => Self::parse_duration(text).is_some(),
            Self::Uri => text.split_once("://").is_some_and(|(scheme, rest)| {
                // RFC 3986, section 3.1: a letter, then letters, digits and `+-.`.
                let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                is_scheme && !host.is_empty() && !rest.contains(char::is_whitespace)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declaration(text: &str) -> SettingDeclaration {
        serde_json::from_str(text).expect("a declaration")
    }

    fn message(declared: &SettingDeclaration, value: Value) -> String {
        declared
            .check(&value)
            .map_or("fits".to_owned(), |invalid| invalid.message)
    }

    #[test]
    fn checks_choices_ranges_and_items() {
        let choice = declaration(r#"{ "type": "string", "choices": ["gzip", "none"] }"#);
        assert_eq!(message(&choice, json!("gzip")), "fits");
        assert_eq!(
            choice
                .check(&json!("gzpi"))
                .map(|invalid| invalid.hint)
                .as_deref(),
            Some("write `gzip`")
        );

        let level = declaration(r#"{ "type": "integer", "min": 1, "max": 9 }"#);
        assert_eq!(message(&level, json!(9)), "fits");
        assert_eq!(message(&level, json!("10")), "cannot be 10");

        let list = declaration(r#"{ "type": "array", "items": "string", "choices": ["a", "b"] }"#);
        assert_eq!(message(&list, json!(["a", "c"])), "cannot be `c`");
        assert_eq!(
            message(&list, json!([["a"]])),
            "holds [\"a\"], which is not text"
        );
    }

    #[test]
    fn formats_accept_what_the_programs_accept() {
        for (format, good, bad) in [
            (
                "address",
                &["0.0.0.0:80", "[::1]:80", ""][..],
                &["80", "localhost:80"][..],
            ),
            (
                "duration",
                &["0s", "250ms", "24h"],
                &[
                    "5",
                    "5 s",
                    "-5s",
                    "1.5s",
                    "+5s",
                    "5d",
                    "s",
                    "99999999999999999999s",
                ],
            ),
            (
                "uri",
                &["http://127.0.0.1:8080", "https://h/x"],
                &["127.0.0.1:8080", "http://", "h t://x", "http://a b"],
            ),
        ] {
            let setting = declaration(&format!(r#"{{ "type": "string", "format": "{format}" }}"#));
            for text in good {
                assert_eq!(message(&setting, json!(text)), "fits", "{format} {text}");
            }

            for text in bad {
                assert_ne!(message(&setting, json!(text)), "fits", "{format} {text}");
            }
        }
    }

    #[test]
    fn parses_environment_text_like_the_programs() {
        let list = declaration(r#"{ "type": "array", "items": "string" }"#);
        assert_eq!(list.parse("a, b"), Some(json!(["a", "b"])));
        assert_eq!(list.parse(r#"["a"]"#), Some(json!(["a"])));
        let map = declaration(r#"{ "type": "object" }"#);
        // Valid JSON of another type is not accepted.
        assert_eq!(map.parse("[]"), None);
        assert_eq!(declaration(r#"{ "type": "integer" }"#).parse("many"), None);
    }
}
