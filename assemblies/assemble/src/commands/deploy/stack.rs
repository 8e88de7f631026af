//! Deploys the CloudFormation stack of an assembly.

use assembly::StackTemplate;
use ecs_client::StackChange;

use super::Arguments;
use crate::commands::remote::{self, DryRun, Target};
use crate::commands::stack::{StackRun, Stop};
use crate::error::CliError;
use crate::ui::Ui;

/// Creates or updates the stack, and waits.
pub(super) fn run(target: &Target, arguments: &Arguments, ui: &Ui) -> Result<u8, CliError> {
    let template = target.stack()?;
    remote::with_connection(&arguments.aws, &DryRun::default(), ui, async |connection| {
        remote::check_before_stack_change(connection, target, ui).await?;
        check_parameters(template, target)?;
        let values = template.parameters.iter().filter_map(|parameter| {
            let value = parameter.value.as_ref()?;
            Some((parameter.name.clone(), value.clone()))
        });
        let change = StackChange::Template {
            text: template.text.clone(),
            parameters: values.collect(),
            environment: target.environment.clone(),
        };

        let waiting = &arguments.waiting;
        let names = (template.name.as_str(), target.environment.as_str());
        let run = StackRun::new(connection, names, waiting, arguments.stack, ui)?;
        let outcome = async {
            let state = run.ready().await?;
            Box::pin(run.change(state.as_ref(), &change, &target.definition)).await
        };
        Stop::flatten(outcome.await)
    })
}

/// Refuses parameters without a value before CloudFormation does, which names them one at a time.
fn check_parameters(template: &StackTemplate, target: &Target) -> Result<(), CliError> {
    let missing: Vec<_> = template
        .missing()
        .map(|it| format!("  {}: …", it.value_name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "{} does not say where the stack runs; add to the values, or pass `--value NAME=VALUE`:\n{}",
        target.expected.origin,
        missing.join("\n")
    )))
}
