use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::{containers, logs};
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L11",
    name: "firelens-without-output",
    severity: Severity::Error,
    title: "FireLens options without the name of the output",
    explanation: "The options of awsfirelens become an output of the log router. Name selects the \
                  plugin of Fluent Bit, @type that of Fluentd; without it the task stops with \
                  \"missing output key Name which is required for firelens configuration\". \
                  include-pattern and exclude-pattern need no output.",
    source: "Amazon ECS agent, FireLens configuration; ECS developer guide, FireLens",
    hint: "Add Name for Fluent Bit, or @type for Fluentd.",
    passing: r#"{
  "family": "web",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "containerDefinitions": [
    {
      "name": "router",
      "image": "fluent-bit:1",
      "firelensConfiguration": { "type": "fluentbit" }
    },
    {
      "name": "app",
      "image": "app:1",
      "logConfiguration": {
        "logDriver": "awsfirelens",
        "options": { "Name": "http", "host": "logs.example.com" }
      }
    }
  ]
}"#,
    // The output has no name.
    failing: Failing::Change(r#""Name": "http", "#, ""),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    let mut routers =
        containers(located).filter_map(|(_, container)| container.firelens_configuration.as_ref());
    // L07 reports a missing router.
    let Some(router) = routers.next() else {
        return;
    };
    let (key, other) = match router.kind.as_str() {
        "fluentbit" => ("Name", "@type"),
        "fluentd" => ("@type", "Name"),
        // L08 reports an unknown type.
        _ => return,
    };

    for (pointer, container, log) in
        logs(located).filter(|(_, _, log)| log.log_driver == "awsfirelens")
    {
        let mut options = log
            .options
            .keys()
            .filter(|option| !FILTERS.contains(&option.as_str()));
        let has_secrets = !log.secret_options.is_empty();
        // Without options the router's own configuration file has the output.
        if log.options.contains_key(key) || (options.next().is_none() && !has_secrets) {
            continue;
        }

        let message = format!(
            "the log of `{}` has no output: `{key}` is missing",
            container.name
        );
        let hint = if log.options.contains_key(other) {
            format!("write `{key}` in place of `{other}`")
        } else {
            format!("add \"{key}\" with the plugin of the router")
        };
        report.add(format!("{pointer}/options"), message, hint);
    }
}

/// Options that the agent does not pass to the output.
const FILTERS: [&str; 3] = [
    "include-pattern",
    "exclude-pattern",
    "log-driver-buffer-limit",
];
