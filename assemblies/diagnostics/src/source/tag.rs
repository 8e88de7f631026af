//! The short tags of CloudFormation's YAML: `!Ref Name` is `{ "Ref": "Name" }`.

use granit_parser::Tag;

use super::{Key, Node, NodeValue};

/// Returns the function that a tag abbreviates.
pub(super) fn function(tag: &Tag) -> Option<&'static str> {
    // `!!str` and other tags of YAML have another handle.
    if tag.handle() != "!" {
        return None;
    }
    let known = FUNCTIONS.iter().find(|(short, _)| *short == tag.suffix());
    known.map(|(_, long)| *long)
}

/// Wraps a value in a call of the function. Both have the span of the value.
pub(super) fn apply(function: Option<&'static str>, argument: Node) -> Node {
    let Some(name) = function else {
        return argument;
    };
    let span = argument.span;
    let name = name.to_owned();
    let value = NodeValue::Map(vec![(Key { name, span }, argument)]);
    Node { value, span }
}

const FUNCTIONS: [(&str, &str); 21] = [
    ("Ref", "Ref"),
    ("Condition", "Condition"),
    ("And", "Fn::And"),
    ("Base64", "Fn::Base64"),
    ("Cidr", "Fn::Cidr"),
    ("Equals", "Fn::Equals"),
    ("FindInMap", "Fn::FindInMap"),
    ("GetAtt", "Fn::GetAtt"),
    ("GetAZs", "Fn::GetAZs"),
    ("GetStackOutput", "Fn::GetStackOutput"),
    ("If", "Fn::If"),
    ("ImportValue", "Fn::ImportValue"),
    ("Join", "Fn::Join"),
    ("Length", "Fn::Length"),
    ("Not", "Fn::Not"),
    ("Or", "Fn::Or"),
    ("Select", "Fn::Select"),
    ("Split", "Fn::Split"),
    ("Sub", "Fn::Sub"),
    ("ToJsonString", "Fn::ToJsonString"),
    ("Transform", "Fn::Transform"),
];
