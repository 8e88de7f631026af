//! A template while it is put together: its sections, and what is to be said above each thing.

use serde_json::{Map, Value, json};

use super::yaml::{self, Comments};

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
    /// An empty template.
    pub(super) fn new(description: String) -> Self {
        Self {
            description,
            ..Self::default()
        }
    }

    /// Something that is asked for when the stack is made; `fields` has its type and default.
    pub(super) fn parameter(&mut self, name: &str, about: &str, mut fields: Value) {
        if let Some(fields) = fields.as_object_mut() {
            fields.shift_insert(0, "Description".to_owned(), json!(about));
        }
        self.parameters.insert(name.to_owned(), fields);
    }

    /// What must hold of the parameters.
    pub(super) fn rule(&mut self, name: &str, when: &Value, must: &Value, otherwise: &str) {
        let rule = json!({
            "RuleCondition": when,
            "Assertions": [{ "Assert": must, "AssertDescription": otherwise }],
        });
        self.rules.insert(name.to_owned(), rule);
    }

    /// A name for something that holds or not.
    pub(super) fn condition(&mut self, name: &str, condition: Value) {
        self.conditions.insert(name.to_owned(), condition);
    }

    /// A resource, and why it is there.
    pub(super) fn resource(&mut self, name: &str, kind: &str, why: &str, properties: Value) {
        self.comments
            .insert(format!("/Resources/{name}"), why.to_owned());
        let resource = json!({ "Type": kind, "Properties": properties });
        self.resources.insert(name.to_owned(), resource);
    }

    /// A word about a resource beside its properties: `Condition`, `DependsOn`, `DeletionPolicy`.
    pub(super) fn attribute(&mut self, resource: &str, name: &str, value: Value) {
        let fields = self.resources.get_mut(resource);
        if let Some(fields) = fields.and_then(Value::as_object_mut) {
            fields.shift_insert(1, name.to_owned(), value);
        }
    }

    /// Why a property is what it is.
    pub(super) fn say(&mut self, resource: &str, path: &str, why: &str) {
        let pointer = format!("/Resources/{resource}/Properties/{path}");
        self.comments.insert(pointer, why.to_owned());
    }

    /// Something the stack tells when it is made.
    pub(super) fn output(&mut self, name: &str, about: &str, value: &Value) {
        let output = json!({ "Description": about, "Value": value });
        self.outputs.insert(name.to_owned(), output);
    }

    /// The same, only where a condition holds.
    pub(super) fn output_if(&mut self, condition: &str, name: &str, about: &str, value: &Value) {
        let output = json!({ "Condition": condition, "Description": about, "Value": value });
        self.outputs.insert(name.to_owned(), output);
    }

    /// The whole as JSON; sections that are empty are left out.
    pub(super) fn value(&self) -> Value {
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

    /// The whole as text, after something was laid over it.
    pub(super) fn text(&self, value: &Value) -> String {
        yaml::text(value, &self.comments)
    }
}

/// The value of a parameter, or the name of a resource.
pub(super) fn reference(name: &str) -> Value {
    json!({ "Ref": name })
}

/// Something about a resource.
pub(super) fn attribute(resource: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": format!("{resource}.{name}") })
}

/// A text with `${…}` in it.
pub(super) fn filled(text: &str) -> Value {
    json!({ "Fn::Sub": text })
}

/// One of two, as a condition has it.
pub(super) fn either(condition: &str, holds: Value, otherwise: Value) -> Value {
    json!({ "Fn::If": [condition, holds, otherwise] })
}

/// Takes the property away.
pub(super) fn nothing() -> Value {
    reference("AWS::NoValue")
}

/// Whether a parameter was left empty.
pub(super) fn is_empty(parameter: &str) -> Value {
    json!({ "Fn::Equals": [reference(parameter), ""] })
}

/// Whether a parameter was given.
pub(super) fn is_given(parameter: &str) -> Value {
    json!({ "Fn::Not": [is_empty(parameter)] })
}
