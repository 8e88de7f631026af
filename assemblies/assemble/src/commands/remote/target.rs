//! Reads what to register, compare or run: an assembly, or a task definition in any form that `check` reads.

use std::path::Path;

use assembly::{Plan, StackTemplate};
use diagnostics::placeholder::PLACEHOLDER;
use diagnostics::source::Source;
use diagnostics::{Finding, Severity};
use ecs_client::{ExpectedAccount, account_of_roles};
use ecs_rules::inputs::{Document, DocumentKind, check_input_with, read_input};
use serde_json::Value;
use task_definition::TaskDefinition;

use super::service::wanted_service;
use crate::arguments::ValueArguments;
use crate::documents;
use crate::error::CliError;
use crate::project::Project;

/// A task definition that passed every rule, and the account that it is made for.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) definition: TaskDefinition,
    /// The account and region of the values, or the account of the roles.
    pub(crate) expected: ExpectedAccount,
    /// Whether the values are those that the project has as examples.
    pub(crate) has_example_values: bool,
    /// Values that are not filled in.
    pub(crate) placeholders: Vec<Finding>,
    /// What an assembly says about its service, as DescribeServices returns it; `null` if it says nothing.
    pub(crate) service: Value,
    /// The names of the environments of the values, separated by spaces.
    pub(crate) environment: String,
    /// The plan of an assembly.
    pub(crate) plan: Option<Box<Plan>>,
    /// The stack of an assembly.
    stack: Option<StackTemplate>,
}

impl Target {
    /// Reads an assembly, by name or path, or a file with a task definition.
    pub(crate) fn read(
        what: &str,
        values: &ValueArguments,
        project: &Project,
    ) -> Result<Self, CliError> {
        let file = Path::new(what);
        if file.is_file() {
            let source = project.source(file)?;
            if let Some(failure) = documents::foreign(&source) {
                return Err(failure);
            }
            if documents::is_document(&source) {
                return Self::from_document(&source, what, project);
            }
        }
        Self::from_assembly(what, values, project)
    }

    /// Returns the stack; an error for a file with a task definition, which has none.
    pub(crate) fn stack(&self) -> Result<&StackTemplate, CliError> {
        self.stack.as_ref().ok_or_else(|| {
            CliError::Usage(format!(
                "{} is a task definition, which has no stack; pass the service to deploy it to: \
                 `--service CLUSTER/SERVICE`",
                self.expected.origin
            ))
        })
    }

    fn from_assembly(
        what: &str,
        arguments: &ValueArguments,
        project: &Project,
    ) -> Result<Self, CliError> {
        let plan = project.plan(what, arguments, EXAMPLE)?;
        let values = project.values(arguments, EXAMPLE)?;
        let definition = plan.definition().clone();
        let environments = values.environments();
        let files: Vec<_> = environments
            .iter()
            .map(|name| format!("assemblies/values/{name}.yaml"))
            .collect();

        let get = |name: &str| values.get(name).map(str::to_owned);
        Ok(Self {
            expected: ExpectedAccount {
                account: get("account").or_else(|| role_account(&definition)),
                region: get("region"),
                origin: if files.is_empty() {
                    format!("`{what}`")
                } else {
                    format!("`{what}` with {}", files.join(" and "))
                },
                remedy: "pass the values of that account (`--values NAME`)".to_owned(),
            },
            environment: environments.join(" "),
            has_example_values: environments.iter().any(|name| name == EXAMPLE),
            placeholders: placeholders(plan.warnings()),
            service: wanted_service(&plan, get),
            stack: Some(assembly::stack_template(&plan)),
            plan: Some(Box::new(plan)),
            definition,
        })
    }

    fn from_document(source: &Source, what: &str, project: &Project) -> Result<Self, CliError> {
        let input = read_input(source);
        if let Some(kind) = input.converted_from {
            return Err(CliError::Usage(format!(
                "`{what}` is {kind}, from which AWS takes no task definition: images, roles and the network are not in \
                 it; `check` and `up` read it, and `assemble new assembly NAME` creates a manifest that can be registered"
            )));
        }
        let findings = check_input_with(&input, &[], &project.catalog()?.image_facts());
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        if findings.iter().any(is_error) {
            return Err(CliError::Findings(findings));
        }

        if input.variants.len() > 1 {
            return Err(CliError::Usage(format!(
                "`{what}` has conditions, which only CloudFormation evaluates; deploy it as a stack"
            )));
        }

        let definition = only_definition(input.documents(), what)?;
        Ok(Self {
            expected: ExpectedAccount {
                account: role_account(&definition),
                region: None,
                origin: format!("`{what}`"),
                remedy: "change the ARNs of its roles".to_owned(),
            },
            environment: String::new(),
            has_example_values: false,
            placeholders: placeholders(&findings),
            service: Value::Null,
            plan: None,
            stack: None,
            definition,
        })
    }
}

/// Returns whether a name is that of an assembly, and not of a family.
pub(crate) fn is_assembly(what: &str, project: &Project) -> bool {
    project.manifest_path(what).is_file()
}

/// Returns the definition of a text that has no other one and no unknown values.
fn only_definition(documents: &[Document], what: &str) -> Result<TaskDefinition, CliError> {
    let mut found = documents
        .iter()
        .filter_map(|document| match &document.kind {
            DocumentKind::Definition(located) => Some((document, &located.definition)),
            DocumentKind::Launch(..) => None,
        });

    let (document, definition) = found
        .next()
        .ok_or_else(|| CliError::Usage(format!("`{what}` has no task definition")))?;

    let others: Vec<_> = found.map(|(_, other)| other.family.as_str()).collect();
    if !others.is_empty() {
        return Err(CliError::Usage(format!(
            "`{what}` has several task definitions ({}, {}); pass a file with one",
            definition.family,
            others.join(", ")
        )));
    }

    if document.is_derived() {
        return Err(CliError::Usage(format!(
            "`{what}` is a service of ECS Express Mode, which makes its own task definition; create it with \
             `aws ecs create-express-gateway-service`; `check` and `up` read it"
        )));
    }
    let unknown: Vec<_> = document.unknown_values().take(MAX_NAMES).collect();
    if !unknown.is_empty() {
        return Err(CliError::Usage(format!(
            "`{what}` does not have all values: {} …; deploy it with the tool that fills them in",
            unknown.join(", ")
        )));
    }
    Ok(definition.clone())
}

fn role_account(definition: &TaskDefinition) -> Option<String> {
    account_of_roles(&serde_json::to_value(definition).ok()?)
}

fn placeholders(findings: &[Finding]) -> Vec<Finding> {
    let is_placeholder = |finding: &&Finding| finding.rule == PLACEHOLDER.id;
    findings.iter().filter(is_placeholder).cloned().collect()
}

/// The environment of the committed documents, which commands read without `--values`.
const EXAMPLE: &str = "example";
/// The unknown values that a message names.
const MAX_NAMES: usize = 3;
