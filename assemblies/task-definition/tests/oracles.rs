//! Two tables that others keep as well: the shape of the API (botocore) and the sizes of Fargate (cfn-lint).
//! Both are read from the workspace's `.venv`, which `make setup` makes; without it the tests are skipped.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may fail loudly and talk"
)]

use std::collections::{BTreeMap, BTreeSet};

use task_definition::fargate_sizes::{Size, is_sold, sizes};
use task_definition::source::Source;
use task_definition::{RunTask, Service, Shape, Shaped, TaskDefinition, read, rules};

mod python;
use python::{answered, printed};

/// Every field as `path kind`.
fn fields(shape: Shape, path: &str, all: &mut BTreeSet<String>) {
    match shape {
        Shape::List(inner) => fields(*inner, &format!("{path}[]"), all),
        Shape::Record(members) => {
            for member in members {
                let path = format!("{path}/{}", member.name);
                all.insert(format!("{path} {}", kind(member.shape)));
                fields(member.shape, &path, all);
            }
        }
        _ => {}
    }
}

fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Text | Shape::Choice(_) => "string",
        Shape::Integer(_) => "integer",
        Shape::Number => "double",
        Shape::Bool => "boolean",
        Shape::TextMap => "map",
        Shape::List(_) => "list",
        Shape::Record(_) | Shape::Any => "structure",
    }
}

#[test]
fn has_the_fields_of_the_api_and_no_other() {
    let program = r#"
import json, botocore.session
model = botocore.session.Session().get_service_model("ecs")
found = []
def walk(shape, path):
    if shape.type_name == "list":
        walk(shape.member, path + "[]")
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            found.append(f"{path}/{name} {member.type_name}")
            walk(member, f"{path}/{name}")
for operation in ["RegisterTaskDefinition", "CreateService", "RunTask"]:
    walk(model.operation_model(operation).input_shape, operation)
print(json.dumps(found))
"#;

    let Some(theirs) = printed("the shape of the API", "botocore", program) else {
        return;
    };
    let theirs: BTreeSet<String> = serde_json::from_value(theirs).unwrap();
    let mut ours = BTreeSet::new();

    fields(TaskDefinition::SHAPE, "RegisterTaskDefinition", &mut ours);
    fields(Service::SHAPE, "CreateService", &mut ours);
    fields(RunTask::SHAPE, "RunTask", &mut ours);
    assert_eq!(
        ours.difference(&theirs).collect::<Vec<_>>(),
        [""; 0],
        "we have too much"
    );

    assert_eq!(
        theirs.difference(&ours).collect::<Vec<_>>(),
        [""; 0],
        "we have too little"
    );
}

#[test]
fn sells_what_cfn_lint_says_fargate_sells() {
    let program = r#"
import json, pathlib, cfnlint
folder = pathlib.Path(cfnlint.__file__).parent / "data/schemas/extensions/aws_ecs_taskdefinition"
table = json.loads((folder / "fargate_cpu_memory.json").read_text())["then"]["anyOf"]
rows = []
for row in table:
    memory = row["properties"]["Memory"]["then"]
    cpu = row["properties"]["Cpu"]["then"]
    every = memory.get("enum") or list(range(memory["minimum"], memory["maximum"] + 1, memory["multipleOf"]))
    rows.append([int((cpu.get("enum") or [cpu.get("const")])[0]), [int(one) for one in every]])
print(json.dumps(rows))
"#;

    let Some(rows) = printed("the sizes of Fargate", "cfnlint", program) else {
        return;
    };
    let rows: Vec<(u32, Vec<u32>)> = serde_json::from_value(rows).unwrap();

    for (cpu, every) in &rows {
        for memory in every {
            assert!(
                is_sold(Size {
                    cpu: *cpu,
                    memory: *memory
                }),
                "{cpu} / {memory} is missing"
            );
        }
    }

    let ours: usize = sizes().iter().map(|row| row.memory.len()).sum();
    assert_eq!(
        ours,
        rows.iter().map(|(_, every)| every.len()).sum::<usize>()
    );
}

#[test]
fn botocore_and_cfn_lint_take_every_definition_that_we_call_right() {
    let definitions: BTreeMap<_, _> = rules()
        .iter()
        .map(|rule| {
            (
                rule.id,
                read(&Source::new(rule.id, rule.passing))
                    .unwrap()
                    .definition,
            )
        })
        .collect();

    let input = serde_json::to_string(&definitions).unwrap();
    let program = include_str!("others.py");
    let Some(said) = answered("the passing cases", "cfnlint", program, &input) else {
        return;
    };
    let said: BTreeMap<String, BTreeMap<String, Vec<String>>> =
        serde_json::from_value(said).unwrap();

    assert_eq!(said.len(), rules().len());
    for (rule, said) in said {
        assert_eq!(said["botocore"], [""; 0], "{rule}");
        if !UNKNOWN_TO_CFN_LINT.contains(&rule.as_str()) {
            assert_eq!(said["cfn-lint"], [""; 0], "{rule}");
        }
    }
}

/// CloudFormation does not have what T18 is about.
const UNKNOWN_TO_CFN_LINT: [&str; 1] = ["T18"];
