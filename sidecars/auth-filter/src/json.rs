//! Unambiguous JSON: an object with a duplicate name, at any depth, is rejected.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Parses a JSON object without duplicate names.
pub(crate) fn parse_object(json: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(json) {
        Ok(Strict(Value::Object(members))) => Some(members),
        _ => None,
    }
}

/// Looks up a member by name, or by JSON pointer (RFC 6901) if the name begins with `/`.
pub(crate) fn lookup<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    let Some(path) = name.strip_prefix('/') else {
        return members.get(name);
    };
    // `~1` before `~0`, so that `~01` becomes `~1` (RFC 6901 section 4).
    let mut names = path
        .split('/')
        .map(|name| name.replace("~1", "/").replace("~0", "~"));
    let first = members.get(&names.next()?)?;

    names.try_fold(first, |value, name| match value {
        Value::Object(members) => members.get(&name),
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueNamesVisitor).map(Self)
    }
}

struct UniqueNamesVisitor;

impl<'de> Visitor<'de> for UniqueNamesVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate names")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a number"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let Strict(value) = map.next_value()?;
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate name"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_only_objects() {
        let members = parse_object(br#"{"a":[1,-2,0.5,true,null,"x",{"b":{}}]}"#).unwrap();
        assert_eq!(
            Value::Object(members).to_string(),
            r#"{"a":[1,-2,0.5,true,null,"x",{"b":{}}]}"#
        );
        for text in ["", "[]", "1", "null", "{} {}", r#"{"a":1e999}"#] {
            assert!(parse_object(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn rejects_duplicate_names_at_any_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            // `\u0062` is `b`.
            r#"{"a":[{"b":1,"\u0062":2}]}"#,
        ] {
            assert!(parse_object(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn looks_up_members_by_name_and_by_pointer() {
        let members = parse_object(
            br#"{"https://x.test/roles":["a"],"realm_access":{"roles":["b","c"]},"a/b":{"~":1}}"#,
        )
        .unwrap();
        let found = |name| lookup(&members, name).map(ToString::to_string);
        assert_eq!(found("https://x.test/roles").as_deref(), Some(r#"["a"]"#));
        assert_eq!(found("/realm_access/roles/1").as_deref(), Some(r#""c""#));
        assert_eq!(found("/a~1b/~0").as_deref(), Some("1"));
        assert_eq!(found("/realm_access/groups"), None);
        assert_eq!(found("realm_access.roles"), None);
    }
}
