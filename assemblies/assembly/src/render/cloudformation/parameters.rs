//! The parameters of a stack, with their values in the environment.
//!
//! The value of the parameter `CertificateArn` has the name `certificate_arn`: one rule for all parameters, so that those
//! of the user's `stack:` have values too.

use serde_json::{Value, json};

use super::service::TASK_REVISION;
use crate::plan::Plan;

/// The CloudFormation stack of an assembly: its template, and the values of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackTemplate {
    /// The name of the stack: that of the assembly.
    pub name: String,
    /// The template, as `cloudformation.yaml` has it.
    pub text: String,
    /// Its parameters, in the order of the template.
    pub parameters: Vec<StackParameter>,
    /// The logical ids of the resources that stay when the stack is deleted.
    pub retained: Vec<String>,
}

/// A parameter of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackParameter {
    /// The name in the template: `CertificateArn`.
    pub name: String,
    /// The name of its value: `certificate_arn`.
    pub value_name: String,
    /// The value, if the environment has one.
    pub value: Option<String>,
    /// Whether the template has no default.
    pub is_required: bool,
}

impl StackTemplate {
    pub(super) fn new(plan: &Plan, text: String, template: &Value) -> Self {
        let values = plan.wiring.assembly.manifest.values();
        let parameters = template["Parameters"].as_object().into_iter().flatten();
        let parameters = parameters.filter(|(name, _)| has_value(name));
        let parameter = |(name, fields): (&String, &Value)| {
            let value_name = snake_case(name);
            StackParameter {
                value: values.get(&value_name).map(strip_list),
                value_name,
                is_required: fields.get("Default").is_none(),
                name: name.clone(),
            }
        };
        Self {
            name: plan.name().to_owned(),
            parameters: parameters.map(parameter).collect(),
            retained: retained_resources(template),
            text,
        }
    }

    /// Returns the parameters without a value and without a default.
    pub fn missing(&self) -> impl Iterator<Item = &StackParameter> {
        let is_missing = |it: &&StackParameter| it.is_required && it.value.is_none();
        self.parameters.iter().filter(is_missing)
    }

    /// Returns the values as a file for `aws cloudformation --parameters file://…`; `None` without values.
    pub(crate) fn file(&self) -> Option<String> {
        let entries = self.parameters.iter().filter_map(|parameter| {
            let value = parameter.value.as_ref()?;
            Some(json!({ "ParameterKey": parameter.name, "ParameterValue": value }))
        });
        let entries: Vec<_> = entries.collect();
        let text = serde_json::to_string_pretty(&entries).ok()?;
        (!entries.is_empty()).then_some(text + "\n")
    }
}

/// Returns whether a parameter has a value of the environment. Images come from the manifest and the lock file, and the
/// revision is set by a rollback only.
fn has_value(name: &str) -> bool {
    !name.ends_with("Image") && name != TASK_REVISION
}

fn retained_resources(template: &Value) -> Vec<String> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    let stays = |resource: &Value| {
        let policy = resource["DeletionPolicy"].as_str();
        policy.is_some_and(|policy| policy.starts_with("Retain"))
    };
    let retained = resources.filter(|(_, resource)| stays(resource));
    retained.map(|(name, _)| name.clone()).collect()
}

/// Returns `certificate_arn` for `CertificateArn`.
fn snake_case(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// Removes spaces around the items of a list with commas.
fn strip_list(text: &str) -> String {
    let items: Vec<_> = text.split(',').map(str::trim).collect();
    items.join(",")
}

#[cfg(test)]
mod tests {
    use super::{snake_case, strip_list};

    #[test]
    fn values_are_named_after_parameters() {
        assert_eq!(snake_case("Vpc"), "vpc");
        assert_eq!(snake_case("LoadBalancerSubnets"), "load_balancer_subnets");
        assert_eq!(strip_list("subnet-1, subnet-2"), "subnet-1,subnet-2");
    }
}
