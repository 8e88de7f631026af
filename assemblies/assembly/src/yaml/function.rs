//! CloudFormation's functions.

use serde_json::Value;

/// Returns tag and argument of a CloudFormation function: `{"Fn::GetAtt": ["Queue", "Arn"]}` is
/// `!GetAtt [Queue, Arn]`.
pub(super) fn function(value: &Value) -> Option<(&str, &Value)> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let (name, argument) = fields.iter().next()?;
    let short = match name.as_str() {
        "Ref" => "Ref",
        long => long.strip_prefix("Fn::")?,
    };
    FUNCTIONS.contains(&short).then_some((short, argument))
}

const FUNCTIONS: [&str; 10] = [
    "Ref", "Sub", "GetAtt", "If", "Equals", "Not", "And", "Join", "Select", "Split",
];
