//! A CloudFormation template under construction: its sections, and the comments of its entries.

use serde_json::{Map, Value, json};

use crate::yaml::{self, Comments, Style};

/// A template.
#[derive(Debug, Default)]
pub(super) struct Stack {
    description: String,
    parameters: Map<String, Value>,
    rules: Map<String, Value>,
    conditions: Map<String, Value>,
    resources: Map<String, Value>,
    outputs: Map<String, Value>,
    comments: Comments,
}

impl Stack {
    /// Returns an empty template.
    pub(super) fn new(description: String) -> Self {
        Self {
            description,
            ..Self::default()
        }
    }

    /// Adds a parameter; `fields` has its type and default.
    pub(super) fn parameter(&mut self, name: &str, about: &str, mut fields: Value) {
        if let Some(fields) = fields.as_object_mut() {
            fields.shift_insert(0, "Description".to_owned(), json!(about));
        }
        self.parameters.insert(name.to_owned(), fields);
    }

    /// Adds a rule that CloudFormation checks on the parameters before it creates anything.
    pub(super) fn rule(&mut self, name: &str, when: &Value, assertion: &Value, message: &str) {
        let rule = json!({
            "RuleCondition": when,
            "Assertions": [{ "Assert": assertion, "AssertDescription": message }],
        });
        self.rules.insert(name.to_owned(), rule);
    }

    /// Adds a named condition.
    pub(super) fn condition(&mut self, name: &str, condition: Value) {
        self.conditions.insert(name.to_owned(), condition);
    }

    /// Adds a resource, with its reason as a comment.
    pub(super) fn resource(&mut self, name: &str, kind: &str, why: &str, properties: Value) {
        self.comments
            .insert(format!("/Resources/{name}"), why.to_owned());
        let resource = json!({ "Type": kind, "Properties": properties });
        self.resources.insert(name.to_owned(), resource);
    }

    /// Sets an attribute of a resource next to its properties: `Condition`, `DependsOn`, `DeletionPolicy`.
    pub(super) fn attribute(&mut self, resource: &str, name: &str, value: Value) {
        let fields = self.resources.get_mut(resource);
        if let Some(fields) = fields.and_then(Value::as_object_mut) {
            // Between `Type` and `Properties`, where readers look for it.
            fields.shift_insert(1, name.to_owned(), value);
        }
    }

    /// Adds a comment above a property.
    pub(super) fn comment(&mut self, resource: &str, path: &str, why: &str) {
        let pointer = format!("/Resources/{resource}/Properties/{path}");
        self.comments.insert(pointer, why.to_owned());
    }

    /// Adds an output.
    pub(super) fn output(&mut self, name: &str, about: &str, value: &Value) {
        let output = json!({ "Description": about, "Value": value });
        self.outputs.insert(name.to_owned(), output);
    }

    /// Adds an output that exists only if a condition holds.
    pub(super) fn output_if(&mut self, condition: &str, name: &str, about: &str, value: &Value) {
        let output = json!({ "Condition": condition, "Description": about, "Value": value });
        self.outputs.insert(name.to_owned(), output);
    }

    /// Returns the template as JSON, without empty sections.
    pub(super) fn value(&self) -> Value {
        // The order in which CloudFormation's documentation lists the sections.
        let mut all = Map::new();
        all.insert("AWSTemplateFormatVersion".to_owned(), json!("2010-09-09"));
        all.insert("Description".to_owned(), json!(self.description));

        for (name, section) in [
            ("Parameters", &self.parameters),
            ("Rules", &self.rules),
            ("Conditions", &self.conditions),
            ("Resources", &self.resources),
            ("Outputs", &self.outputs),
        ] {
            if !section.is_empty() {
                all.insert(name.to_owned(), Value::Object(section.clone()));
            }
        }

        Value::Object(all)
    }

    /// Returns a template as YAML text, with this stack's comments.
    ///
    /// `value` is this stack's value after the manifest's `stack:` was merged into it.
    pub(super) fn text(&self, value: &Value) -> String {
        yaml::document(value, Style::Template(&self.comments))
    }
}

/// Returns a reference to a parameter or a resource.
pub(super) fn reference(name: &str) -> Value {
    json!({ "Ref": name })
}

/// Returns an attribute of a resource.
pub(super) fn attribute(resource: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": format!("{resource}.{name}") })
}

/// Returns a text in which CloudFormation substitutes `${…}`.
pub(super) fn substitute(text: &str) -> Value {
    json!({ "Fn::Sub": text })
}

/// Returns one of two values, depending on a condition.
pub(super) fn if_else(condition: &str, then: Value, otherwise: Value) -> Value {
    json!({ "Fn::If": [condition, then, otherwise] })
}

/// Returns the value that removes a property.
pub(super) fn no_value() -> Value {
    reference("AWS::NoValue")
}

/// Returns the condition that a parameter is empty.
pub(super) fn is_empty(parameter: &str) -> Value {
    json!({ "Fn::Equals": [reference(parameter), ""] })
}

/// Returns the condition that a parameter is set.
pub(super) fn is_set(parameter: &str) -> Value {
    json!({ "Fn::Not": [is_empty(parameter)] })
}
