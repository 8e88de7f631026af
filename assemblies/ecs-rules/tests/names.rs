//! Compares CloudFormation's names with its schemas, which cfn-lint contains (`.venv`).

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;

use ecs_rules::inputs::names::{ONLY_API, ONLY_CLOUDFORMATION, cloudformation_name};
use task_definition::{HasSchema, Schema, Service, TaskDefinition};

#[path = "../../task-definition/tests/python/mod.rs"]
mod python;

#[test]
fn names_match_the_cloudformation_schemas() {
    let Some(theirs) = python::run("the names of CloudFormation", "cfnlint", SCHEMAS) else {
        return;
    };
    let theirs: BTreeSet<(String, String)> = serde_json::from_value(theirs).unwrap();
    let mut ours = BTreeSet::new();

    for (resource, schema) in [
        ("AWS::ECS::TaskDefinition", TaskDefinition::SCHEMA),
        ("AWS::ECS::Service", Service::SCHEMA),
    ] {
        let mut paths = Vec::new();
        walk(schema, "", "", &mut paths);
        ours.extend(paths.into_iter().map(|path| (resource.to_owned(), path)));
    }

    let to_set = |list: &[(&str, &str)]| -> BTreeSet<(String, String)> {
        list.iter()
            .map(|(resource, path)| ((*resource).to_owned(), (*path).to_owned()))
            .collect()
    };
    // An excepted record covers the fields below it.
    let is_below = |(resource, path): &(String, String), list: &BTreeSet<(String, String)>| {
        list.iter()
            .any(|(type_name, top)| type_name == resource && path.starts_with(&format!("{top}/")))
    };

    let (api, own) = (to_set(&ONLY_API), to_set(&ONLY_CLOUDFORMATION));
    let missing: BTreeSet<_> = ours
        .difference(&theirs)
        .filter(|path| !is_below(path, &api))
        .cloned()
        .collect();
    let additional: BTreeSet<_> = theirs
        .difference(&ours)
        .filter(|path| !is_below(path, &own))
        .cloned()
        .collect();

    assert_eq!(missing, api, "only in the API");
    assert_eq!(additional, own, "only in CloudFormation");
}

fn walk(schema: Schema, parent: &str, path: &str, all: &mut Vec<String>) {
    match schema {
        Schema::List(inner) => walk(*inner, parent, path, all),
        Schema::Record(fields) => {
            for field in fields {
                let name = cloudformation_name(parent, field.name);
                let path = if path.is_empty() {
                    name
                } else {
                    format!("{path}/{name}")
                };

                all.push(path.clone());
                walk(field.schema, field.name, &path, all);
            }
        }
        _ => {}
    }
}

const SCHEMAS: &str = r#"
import json
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER as manager
found = []
for resource in ("AWS::ECS::TaskDefinition", "AWS::ECS::Service"):
    schema = manager.get_resource_schema("us-east-1", resource).schema
    answers = [one.rsplit("/", 1)[1] for one in schema.get("readOnlyProperties", [])]
    def walk(part, path):
        if "$ref" in part:
            part = schema["definitions"][part["$ref"].rsplit("/", 1)[1]]
        if "items" in part:
            walk(part["items"], path)
        for name, below in part.get("properties", {}).items():
            if path or name not in answers:
                found.append([resource, "/".join(path + [name])])
                walk(below, path + [name])
    walk(schema, [])
print(json.dumps(found))
"#;
