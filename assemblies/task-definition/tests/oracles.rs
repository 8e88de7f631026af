//! Compares the API's schema with botocore and the Fargate sizes with cfn-lint. Both are read from the workspace's
//! `.venv`, which `make setup` creates; without it the tests are skipped.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::collections::BTreeSet;

use task_definition::fargate_sizes::{Size, is_supported, sizes};
use task_definition::{HasSchema, RunTask, Schema, Service, TaskDefinition};

mod python;
use python::run;

/// Collects every field as `path type`.
fn fields(schema: Schema, path: &str, all: &mut BTreeSet<String>) {
    match schema {
        Schema::List(inner) => fields(*inner, &format!("{path}[]"), all),
        Schema::Record(members) => {
            for member in members {
                let path = format!("{path}/{}", member.name);
                all.insert(format!("{path} {}", kind(member.schema)));
                fields(member.schema, &path, all);
            }
        }
        _ => {}
    }
}

fn kind(schema: Schema) -> &'static str {
    match schema {
        Schema::Text | Schema::Choice(_) => "string",
        Schema::Integer(_) => "integer",
        Schema::Number => "double",
        Schema::Bool => "boolean",
        Schema::TextMap => "map",
        Schema::List(_) => "list",
        // botocore calls a document without a fixed schema a structure as well.
        Schema::Record(_) | Schema::Any => "structure",
    }
}

#[test]
fn schema_matches_botocore() {
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

    let Some(theirs) = run("the schema of the API", "botocore", program) else {
        return;
    };
    let theirs: BTreeSet<String> = serde_json::from_value(theirs).unwrap();
    let mut ours = BTreeSet::new();

    fields(TaskDefinition::SCHEMA, "RegisterTaskDefinition", &mut ours);
    fields(Service::SCHEMA, "CreateService", &mut ours);
    fields(RunTask::SCHEMA, "RunTask", &mut ours);
    assert_eq!(
        ours.difference(&theirs).collect::<Vec<_>>(),
        [""; 0],
        "fields that botocore does not have"
    );

    assert_eq!(
        theirs.difference(&ours).collect::<Vec<_>>(),
        [""; 0],
        "fields that only botocore has"
    );
}

#[test]
fn sizes_match_cfn_lint() {
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

    let Some(rows) = run("the sizes of Fargate", "cfnlint", program) else {
        return;
    };
    let rows: Vec<(u32, Vec<u32>)> = serde_json::from_value(rows).unwrap();

    for (cpu, every) in &rows {
        for memory in every {
            assert!(
                is_supported(Size {
                    cpu: *cpu,
                    memory: *memory
                }),
                "{cpu} / {memory} is missing"
            );
        }
    }

    // Every size of theirs is supported, so equal counts mean equal tables.
    let ours: usize = sizes().iter().map(|row| row.memory.len()).sum();
    assert_eq!(
        ours,
        rows.iter().map(|(_, every)| every.len()).sum::<usize>()
    );
}
