//! CloudFormation's names are held to its own schemas, which cfn-lint brings along (`.venv`).

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may fail loudly and talk"
)]

use std::collections::BTreeSet;

use task_definition::forms::names::{ONLY_API, ONLY_CLOUDFORMATION, cloudformation};
use task_definition::{Service, Shape, Shaped, TaskDefinition};

mod python;

#[test]
fn cloudformation_has_the_names_that_we_think_it_has() {
    let Some(theirs) = python::printed("the names of CloudFormation", "cfnlint", SCHEMAS) else {
        return;
    };
    let theirs: BTreeSet<(String, String)> = serde_json::from_value(theirs).unwrap();
    let mut ours = BTreeSet::new();

    for (resource, shape) in [
        ("AWS::ECS::TaskDefinition", TaskDefinition::SHAPE),
        ("AWS::ECS::Service", Service::SHAPE),
    ] {
        let mut paths = Vec::new();
        walk(shape, "", "", &mut paths);
        ours.extend(paths.into_iter().map(|path| (resource.to_owned(), path)));
    }

    let listed = |list: &[(&str, &str)]| -> BTreeSet<(String, String)> {
        list.iter()
            .map(|(resource, path)| ((*resource).to_owned(), (*path).to_owned()))
            .collect()
    };
    let below = |(resource, path): &(String, String), list: &BTreeSet<(String, String)>| {
        list.iter()
            .any(|(type_name, top)| type_name == resource && path.starts_with(&format!("{top}/")))
    };

    let (api, own) = (listed(&ONLY_API), listed(&ONLY_CLOUDFORMATION));
    let more: BTreeSet<_> = ours
        .difference(&theirs)
        .filter(|one| !below(one, &api))
        .cloned()
        .collect();
    let less: BTreeSet<_> = theirs
        .difference(&ours)
        .filter(|one| !below(one, &own))
        .cloned()
        .collect();

    assert_eq!(more, api, "only in the API");
    assert_eq!(less, own, "only in CloudFormation");
}

fn walk(shape: Shape, parent: &str, path: &str, all: &mut Vec<String>) {
    match shape {
        Shape::List(inner) => walk(*inner, parent, path, all),
        Shape::Record(fields) => {
            for field in fields {
                let name = cloudformation(parent, field.name);
                let path = if path.is_empty() {
                    name
                } else {
                    format!("{path}/{name}")
                };

                all.push(path.clone());
                walk(field.shape, field.name, &path, all);
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
