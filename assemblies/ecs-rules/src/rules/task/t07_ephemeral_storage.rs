use diagnostics::{Edit, Severity};
use task_definition::LocatedDefinition;

use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "T07",
    name: "ephemeral-storage",
    severity: Severity::Error,
    title: "ephemeral storage is outside 21 to 200 GiB",
    explanation: "A Fargate task has 20 GiB of ephemeral storage by default. ephemeralStorage \
                  requests more, so it starts at 21 GiB; the maximum is 200 GiB.",
    source: "ECS API, EphemeralStorage, field sizeInGiB",
    hint: "Remove ephemeralStorage, or request 21 to 200 GiB.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "ephemeralStorage": { "sizeInGiB": 50 },
  "containerDefinitions": [{ "name": "app", "image": "app:1" }]
}"#,
    // 20 GiB is the default, which cannot be requested.
    failing: Failing::Change(
        r#""ephemeralStorage": { "sizeInGiB": 50 }"#,
        r#""ephemeralStorage": { "sizeInGiB": 20 }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let Some(storage) = &located.definition.ephemeral_storage else {
        return;
    };
    let size = storage.size_in_gib;
    let pointer = "/ephemeralStorage/sizeInGiB";

    // Only for 20 GiB is the intention certain: the default.
    if size == 20 {
        let message = "20 GiB is the default; ephemeralStorage starts at 21";
        report.add(pointer, message, "remove `ephemeralStorage`");
        let edits = vec![Edit::Remove("/ephemeralStorage".to_owned())];
        report.fix("remove `ephemeralStorage`", edits);
    } else if !(21..=200).contains(&size) {
        report.add(
            pointer,
            format!("ephemeral storage is {size} GiB; the range is 21 to 200"),
            "write 21 to 200",
        );
    }
}
