//! Forms of the AWS query and EC2 query protocols.

use std::fmt::Write as _;

use serde_json::Value;

/// How lists are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    /// `Name.member.1`
    Member,
    /// `Name.1`
    Flat,
}

/// Returns the form of a request.
///
/// Source: "AWS query protocol" and "EC2 query protocol" in the specification of Smithy.
pub(super) fn encode(operation: &str, version: &str, lists: Lists, body: &Value) -> String {
    let mut form = Form {
        text: String::new(),
        lists,
    };
    form.pair("Action", operation);
    form.pair("Version", version);
    form.add("", body);
    form.text
}

struct Form {
    text: String,
    lists: Lists,
}

impl Form {
    fn add(&mut self, name: &str, value: &Value) {
        let child = |key: &str| match name {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        };
        match value {
            // What is left out has the default of the API.
            Value::Null => {}
            Value::String(text) => self.pair(name, text),
            Value::Bool(_) | Value::Number(_) => self.pair(name, &value.to_string()),
            Value::Array(items) => {
                let list = match self.lists {
                    Lists::Member => child("member"),
                    Lists::Flat => name.to_owned(),
                };
                for (item, number) in items.iter().zip(1_usize..) {
                    self.add(&format!("{list}.{number}"), item);
                }
            }
            Value::Object(fields) => {
                for (key, field) in fields {
                    self.add(&child(key), field);
                }
            }
        }
    }

    fn pair(&mut self, name: &str, value: &str) {
        if !self.text.is_empty() {
            self.text.push('&');
        }
        self.text.push_str(&escape(name));
        self.text.push('=');
        self.text.push_str(&escape(value));
    }
}

/// Escapes everything but the unreserved characters of RFC 3986, section 2.3.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            byte => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "%{byte:02X}");
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Lists, encode};

    #[test]
    fn numbers_lists_as_the_protocol_does() {
        let body = json!({ "StackName": "a b", "Parameters": [{ "ParameterKey": "Ä" }], "Retain": true, "Role": null });
        assert_eq!(
            encode("CreateChangeSet", "2010-05-15", Lists::Member, &body),
            "Action=CreateChangeSet&Version=2010-05-15&StackName=a%20b&Parameters.member.1.ParameterKey=%C3%84\
             &Retain=true"
        );

        let body = json!({ "Filter": [{ "Name": "vpc-id", "Value": ["vpc-1", "vpc-2"] }] });
        assert_eq!(
            encode("DescribeSubnets", "2016-11-15", Lists::Flat, &body),
            "Action=DescribeSubnets&Version=2016-11-15&Filter.1.Name=vpc-id&Filter.1.Value.1=vpc-1&Filter.1.Value.2=vpc-2"
        );
    }
}
