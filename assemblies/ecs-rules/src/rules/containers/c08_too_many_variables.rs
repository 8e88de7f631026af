use diagnostics::Severity;
use task_definition::LocatedDefinition;

use crate::rules::shared::containers;
use crate::rules::{Check, Failing, Report, Rule};

pub(super) const RULE: Rule = Rule {
    id: "C08",
    name: "too-many-variables",
    severity: Severity::Warning,
    title: "more than 100 environment variables",
    explanation: "Definitions with more than 100 variables in a container were reported to arrive in \
                  ECS with an empty list when CloudFormation registered them. ECS documents no \
                  limit, and the report is not verified here. Environment files are not affected.",
    source: "aws/aws-cdk#38225 (a bug report; the ECS API documents no limit)",
    hint: "Move variables into environmentFiles, or into one document.",
    passing: r#"{
  "family": "web",
  "containerDefinitions": [
    { "name": "app", "image": "app:1", "environment": [{ "name": "LEVEL", "value": "info" }], "memory": 128 }
  ]
}"#,
    // 101 variables, in YAML flow style to keep the case short.
    failing: Failing::Document(
        r"family: web
containerDefinitions:
  - name: app
    image: app:1
    memory: 128
    environment: [
      { name: V1, value: x }, { name: V2, value: x }, { name: V3, value: x }, { name: V4, value: x }, {
      name: V5, value: x }, { name: V6, value: x }, { name: V7, value: x }, { name: V8, value: x }, {
      name: V9, value: x }, { name: V10, value: x }, { name: V11, value: x }, { name: V12, value: x }, {
      name: V13, value: x }, { name: V14, value: x }, { name: V15, value: x }, { name: V16, value: x }, {
      name: V17, value: x }, { name: V18, value: x }, { name: V19, value: x }, { name: V20, value: x }, {
      name: V21, value: x }, { name: V22, value: x }, { name: V23, value: x }, { name: V24, value: x }, {
      name: V25, value: x }, { name: V26, value: x }, { name: V27, value: x }, { name: V28, value: x }, {
      name: V29, value: x }, { name: V30, value: x }, { name: V31, value: x }, { name: V32, value: x }, {
      name: V33, value: x }, { name: V34, value: x }, { name: V35, value: x }, { name: V36, value: x }, {
      name: V37, value: x }, { name: V38, value: x }, { name: V39, value: x }, { name: V40, value: x }, {
      name: V41, value: x }, { name: V42, value: x }, { name: V43, value: x }, { name: V44, value: x }, {
      name: V45, value: x }, { name: V46, value: x }, { name: V47, value: x }, { name: V48, value: x }, {
      name: V49, value: x }, { name: V50, value: x }, { name: V51, value: x }, { name: V52, value: x }, {
      name: V53, value: x }, { name: V54, value: x }, { name: V55, value: x }, { name: V56, value: x }, {
      name: V57, value: x }, { name: V58, value: x }, { name: V59, value: x }, { name: V60, value: x }, {
      name: V61, value: x }, { name: V62, value: x }, { name: V63, value: x }, { name: V64, value: x }, {
      name: V65, value: x }, { name: V66, value: x }, { name: V67, value: x }, { name: V68, value: x }, {
      name: V69, value: x }, { name: V70, value: x }, { name: V71, value: x }, { name: V72, value: x }, {
      name: V73, value: x }, { name: V74, value: x }, { name: V75, value: x }, { name: V76, value: x }, {
      name: V77, value: x }, { name: V78, value: x }, { name: V79, value: x }, { name: V80, value: x }, {
      name: V81, value: x }, { name: V82, value: x }, { name: V83, value: x }, { name: V84, value: x }, {
      name: V85, value: x }, { name: V86, value: x }, { name: V87, value: x }, { name: V88, value: x }, {
      name: V89, value: x }, { name: V90, value: x }, { name: V91, value: x }, { name: V92, value: x }, {
      name: V93, value: x }, { name: V94, value: x }, { name: V95, value: x }, { name: V96, value: x }, {
      name: V97, value: x }, { name: V98, value: x }, { name: V99, value: x }, { name: V100, value: x }, {
      name: V101, value: x }
    ]",
    ),
    check: Check::Definition(check),
    ..Rule::DEFAULT
};

fn check(located: &LocatedDefinition, report: &mut Report) {
    for (pointer, container) in containers(located) {
        let count = container.environment.len();
        // A warning, because the report has not been reproduced here.
        if count > THRESHOLD {
            let message = format!(
                "`{}` has {count} environment variables; CloudFormation was reported to lose more than {THRESHOLD}",
                container.name
            );
            let hint = "move some into environmentFiles, or into one document";
            report.add(format!("{pointer}/environment"), message, hint);
        }
    }
}

const THRESHOLD: usize = 100;
