//! The XML of the query protocols as JSON.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use serde_json::{Map, Value};

/// Parses a document: the name of the root element, and its content as JSON.
///
/// An element with elements inside is an object, one with text a string, an empty one `null`. Elements whose children
/// are all `member` or all `item`, the names that the query protocols give to the items of lists, are lists; so are
/// children with equal names.
pub(super) fn parse(text: &str) -> Option<(String, Value)> {
    let mut reader = Reader::from_str(text);
    // The elements that are open, the innermost last.
    let mut open: Vec<Element> = Vec::new();

    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if open.len() < MAX_DEPTH => {
                open.push(Element::new(start.local_name().into_inner()));
            }
            Event::Empty(start) => {
                let name = start.local_name().into_inner().to_owned();
                match open.last_mut() {
                    Some(parent) => parent.children.push((name, Value::Null)),
                    None => return Some((name, Value::Null)),
                }
            }
            Event::Text(text) => append(&mut open, &text.xml10_content()),
            Event::CData(text) => append(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(character) => append(&mut open, character.encode_utf8(&mut [0; 4])),
                // Only the five entities of XML: a document type could define others, without limit.
                None => append(&mut open, resolve_predefined_entity(&reference)?),
            },
            Event::End(_) => {
                let Element { name, .. } = open.last()?;
                let name = name.clone();
                let value = open.pop()?.into_value();
                match open.last_mut() {
                    Some(parent) => parent.children.push((name, value)),
                    None => return Some((name, value)),
                }
            }
            Event::Start(_) | Event::Eof => return None,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

/// An element that is not complete yet.
struct Element {
    name: String,
    text: String,
    children: Vec<(String, Value)>,
}

impl Element {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            text: String::new(),
            children: Vec::new(),
        }
    }

    fn into_value(self) -> Value {
        if self.children.is_empty() {
            return match self.text.as_str() {
                "" => Value::Null,
                text => text.into(),
            };
        }

        let is_list = |name: &str| self.children.iter().all(|(child, _)| child == name);
        if is_list("member") || is_list("item") {
            return self.children.into_iter().map(|(_, value)| value).collect();
        }

        let mut fields: Map<String, Value> = Map::new();
        let mut repeated: Vec<String> = Vec::new();
        for (name, value) in self.children {
            let Some(earlier) = fields.get_mut(&name) else {
                fields.insert(name, value);
                continue;
            };
            match earlier {
                Value::Array(items) if repeated.contains(&name) => items.push(value),
                first => {
                    *first = Value::Array(vec![first.take(), value]);
                    repeated.push(name);
                }
            }
        }
        fields.into()
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

/// Responses of AWS have fewer than ten levels.
const MAX_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::parse;

    #[test]
    fn lists_and_structures_become_json() {
        let text = r#"<?xml version="1.0"?>
            <DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
              <DescribeStacksResult>
                <Stacks><member>
                  <StackName>a &amp; b &#x2013; <![CDATA[<c>]]></StackName>
                  <Outputs/>
                  <Tags><member><Key>team</Key></member><member><Key>env</Key></member></Tags>
                </member></Stacks>
              </DescribeStacksResult>
            </DescribeStacksResponse>"#;
        let (root, value) = parse(text).expect("a document");
        assert_eq!(root, "DescribeStacksResponse");
        assert_eq!(
            value["DescribeStacksResult"]["Stacks"],
            json!([{
                "StackName": "a & b – <c>", "Outputs": null, "Tags": [{ "Key": "team" }, { "Key": "env" }]
            }])
        );
    }

    #[test]
    fn repeated_elements_become_a_list() {
        let (_, value) = parse("<r><a>1</a><b>2</b><a>3</a><a>4</a></r>").expect("a document");
        assert_eq!(value, json!({ "a": ["1", "3", "4"], "b": "2" }));
    }

    #[test]
    fn incomplete_and_malicious_documents_are_refused() {
        for text in [
            "",
            "hello",
            "<a>",
            "<a><b></a></b>",
            "<a>&unknown;</a>",
            "</a>",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"<a>".repeat(10_000)), None);
    }
}
