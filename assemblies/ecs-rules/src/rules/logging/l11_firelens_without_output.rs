use diagnostics::{Severity, nearest};
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
        let output = log.options.get(key);
        if let Some(output) = output.filter(|output| !output.trim().is_empty()) {
            check_output(&format!("{pointer}/options"), key, output, report);
            continue;
        }
        if output.is_none() && (options.next().is_none() && !has_secrets) {
            continue;
        }

        let message = format!(
            "the log of `{}` has no output: `{key}` is {}",
            container.name,
            if output.is_some() { "empty" } else { "missing" }
        );
        let hint = if log.options.contains_key(other) {
            format!("write `{key}` in place of `{other}`")
        } else {
            format!("add \"{key}\" with the plugin of the router")
        };
        report.add(format!("{pointer}/options"), message, hint);
    }
}

/// Reports the name of an output that is probably misspelt.
fn check_output(pointer: &str, key: &str, output: &str, report: &mut Report) {
    // Fluent Bit ignores the case; a log router may have plugins of its own.
    let name = output.to_ascii_lowercase();
    if key != "Name" || OUTPUTS.contains(&name.as_str()) {
        return;
    }
    if let Some(suggestion) = nearest(&name, OUTPUTS) {
        let message = format!("Fluent Bit has no output `{output}`");
        let hint = format!("did you mean `{suggestion}`?");
        report.warn(format!("{pointer}/{key}"), message, hint);
    }
}

/// The outputs of AWS for Fluent Bit: those of Fluent Bit itself and those of AWS in Go.
const OUTPUTS: [&str; 32] = [
    "azure",
    "azure_blob",
    "azure_kusto",
    "bigquery",
    "chronicle",
    "cloudwatch",
    "cloudwatch_logs",
    "counter",
    "datadog",
    "es",
    "file",
    "firehose",
    "flowcounter",
    "forward",
    "gelf",
    "http",
    "influxdb",
    "kafka",
    "kafka-rest",
    "kinesis",
    "kinesis_firehose",
    "kinesis_streams",
    "logdna",
    "loki",
    "nats",
    "newrelic",
    "null",
    "opensearch",
    "opentelemetry",
    "s3",
    "splunk",
    "stdout",
];

/// Options that the agent does not pass to the output.
const FILTERS: [&str; 3] = [
    "include-pattern",
    "exclude-pattern",
    "log-driver-buffer-limit",
];
