use diagnostics::{Severity, escape, nearest};
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "L08",
    name: "unknown-router-option",
    severity: Severity::Error,
    title: "unknown log router option",
    explanation: "enable-ecs-log-metadata is true or false; config-file-type and config-file-value \
                  are set together, and the file is not the one that ECS writes. On Fargate the configuration is a file in the image: s3 is not \
                  supported.",
    source: "ECS API, FirelensConfiguration, field options",
    hint: "Use config-file-type file.",
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
      "firelensConfiguration": {
        "type": "fluentbit",
        "options": { "config-file-type": "file", "config-file-value": "/extra.conf" }
      }
    }
  ]
}"#,
    // The configuration file is in S3.
    failing: Failing::Change(
        r#""options": { "config-file-type": "file", "config-file-value": "/extra.conf" }"#,
        r#""options": {
          "config-file-type": "s3",
          "config-file-value": "arn:aws:s3:::settings/extra.conf"
        }"#,
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let Some(router) = &container.firelens_configuration else {
            continue;
        };
        let pointer = format!("{pointer}/firelensConfiguration");

        report.check_enum(
            &format!("{pointer}/type"),
            Some(&router.kind),
            &["fluentbit", "fluentd"],
        );

        let pointer = format!("{pointer}/options");
        for option in router
            .options
            .keys()
            .filter(|option| !OPTIONS.contains(&option.as_str()))
        {
            let suggestion = nearest(option, OPTIONS);
            let hint = match suggestion {
                Some(suggestion) => format!("did you mean `{suggestion}`?"),
                None => format!("choose one of {}", OPTIONS.join(", ")),
            };

            let message = format!("FireLens has no option `{option}`");
            report.add(format!("{pointer}/{}", escape(option)), message, hint);
            report.fix_key(&pointer, &router.options, option, suggestion);
        }

        // The two options form a pair: where the file is, and which file.
        let kind = router.options.get("config-file-type").map(String::as_str);
        report.check_enum(
            &format!("{pointer}/config-file-type"),
            kind,
            &["file", "s3"],
        );

        let metadata = router.options.get("enable-ecs-log-metadata");
        report.check_enum(
            &format!("{pointer}/enable-ecs-log-metadata"),
            metadata.map(String::as_str),
            &["true", "false"],
        );
        let file = router.options.get("config-file-value").map(String::as_str);
        if let Some(file) = file.filter(|file| OWN_FILES.contains(file)) {
            let message = format!("`{file}` is the file that ECS writes for the log router");
            let hint = "give your file another path, such as /fluent-bit/etc/extra.conf";
            report.add(format!("{pointer}/config-file-value"), message, hint);
        }

        if kind.is_some() != router.options.contains_key("config-file-value") {
            let message = "config-file-type and config-file-value must be set together";
            report.add(&pointer, message, "add the missing one");
        }

        // Fargate supports configuration files in the image only.
        if kind == Some("s3") && located.definition.is_fargate() {
            let message = "on Fargate the log router cannot read its configuration from S3";
            let hint = "put the file into the image, and write \"config-file-type\": \"file\"";
            report.add(format!("{pointer}/config-file-type"), message, hint);
        }
    }
}

/// The files in which the agent generates the configuration, which includes the user's.
const OWN_FILES: [&str; 2] = [
    "/fluent-bit/etc/fluent-bit.conf",
    "/fluentd/etc/fluent.conf",
];

const OPTIONS: [&str; 3] = [
    "enable-ecs-log-metadata",
    "config-file-type",
    "config-file-value",
];
