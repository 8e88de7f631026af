//! Refuses to use AWS with examples, placeholders, or credentials of another account.

use ecs_client::{ExpectedAccount, Service, check_account};

use super::{Connection, Target};
use crate::error::CliError;
use crate::ui::Ui;

/// Refuses definitions that are not complete.
pub(crate) fn check_before_read(connection: &Connection, target: &Target) -> Result<(), CliError> {
    if !target.placeholders.is_empty() {
        return Err(CliError::Findings(target.placeholders.clone()));
    }

    // An emulator on this host has a made-up account, and no example can do harm there.
    if let Connection::Aws(client) = connection
        && !client.is_emulator()
    {
        refuse_examples(target)?;
    }
    Ok(())
}

/// Refuses definitions that are not complete, and compares the account of the credentials, before anything is changed.
pub(crate) async fn check_before_write(
    connection: &Connection,
    target: &Target,
    ui: &Ui,
) -> Result<(), CliError> {
    check_before_read(connection, target)?;
    if connection.is_dry_run() && target.has_example_values {
        ui.message(
            "the values are examples, which are never registered on AWS; pass `--values NAME`",
        );
    }
    compare_account(connection, &target.expected).await
}

/// As [`check_before_write`], before a stack is changed.
pub(crate) async fn check_before_stack_change(
    connection: &Connection,
    target: &Target,
    ui: &Ui,
) -> Result<(), CliError> {
    // With an emulator of ECS nothing is compared, but its variables say nothing about CloudFormation.
    if let Connection::Aws(client) = connection
        && client.is_emulator()
        && !client.is_on_this_host(Service::CloudFormation)
    {
        let message = "the endpoint of ECS is on this host, and that of CloudFormation is not; set \
                       AWS_ENDPOINT_URL_CLOUDFORMATION too, or unset AWS_ENDPOINT_URL_ECS";
        return Err(CliError::Usage(message.to_owned()));
    }
    check_before_write(connection, target, ui).await
}

/// Compares the account of the credentials and the region with the expected ones.
pub(crate) async fn compare_account(
    connection: &Connection,
    expected: &ExpectedAccount,
) -> Result<(), CliError> {
    let region = match connection {
        Connection::Aws(client) if client.is_emulator() => return Ok(()),
        Connection::Aws(client) => client.region(),
        Connection::DryRun(_) => "",
    };
    if expected.account.is_none() && expected.region.is_none() {
        return Ok(());
    }
    Ok(check_account(connection, region, expected).await?)
}

fn refuse_examples(target: &Target) -> Result<(), CliError> {
    let expected = &target.expected;
    if target.has_example_values {
        return Err(CliError::Usage(format!(
            "{} has example values, which are never used on AWS; create `assemblies/values/NAME.yaml` with \
             the values of your account and pass `--values NAME`, or pass `--endpoint-url` of an emulator on this host",
            expected.origin
        )));
    }

    match expected.account.as_deref() {
        Some(account) if EXAMPLE_ACCOUNTS.contains(&account) => Err(CliError::Usage(format!(
            "{} is for account {account}, which is only an example; write the account to use, or pass \
             `--endpoint-url` of an emulator on this host",
            expected.origin
        ))),
        _ => Ok(()),
    }
}

/// Accounts without an owner: those in the documentation of AWS, and of emulators.
const EXAMPLE_ACCOUNTS: [&str; 5] = [
    "000000000000",
    "111122223333",
    "123456789012",
    "444455556666",
    "777788889999",
];
