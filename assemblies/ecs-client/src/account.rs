//! The account that the credentials are of, compared with the one that is expected.

use std::fmt;

use serde_json::{Value, json};

use crate::api::{Api, Call, Operation};
use crate::error::Error;

/// The account and region that a definition is made for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedAccount {
    /// The account's number.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Where both are written, such as `assemblies/values/prod.yaml`.
    pub origin: String,
    /// What to pass or change if the account of the credentials is the right one.
    pub remedy: String,
}

/// The account of the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The ARN of the user or of the session of a role.
    pub arn: String,
}

/// The credentials or the region are others than expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountMismatch {
    /// The account of the credentials.
    pub caller: Caller,
    /// The region of the client.
    pub region: String,
    /// What is expected.
    pub expected: ExpectedAccount,
}

/// Returns the account of the credentials; `None` from a dry run.
pub async fn caller(api: &impl Api) -> Result<Option<Caller>, Error> {
    let response = api
        .call(&Call::new(Operation::GetCallerIdentity, json!({})))
        .await?;
    let text = |name: &str| response[name].as_str().map(str::to_owned);
    Ok(text("Account").map(|account| Caller {
        account,
        arn: text("Arn").unwrap_or_default(),
    }))
}

/// Compares the account of the credentials, and the region, with the expected ones.
pub async fn check_account(
    api: &impl Api,
    region: &str,
    expected: &ExpectedAccount,
) -> Result<(), Error> {
    // A dry run has no response to compare.
    let Some(caller) = caller(api).await? else {
        return Ok(());
    };

    let differs = |expected: &Option<String>, found: &str| {
        expected
            .as_deref()
            .is_some_and(|expected| expected != found)
    };

    if !differs(&expected.account, &caller.account) && !differs(&expected.region, region) {
        return Ok(());
    }

    Err(Error::WrongAccount(Box::new(AccountMismatch {
        caller,
        region: region.to_owned(),
        expected: expected.clone(),
    })))
}

/// Returns the account and region of an ARN, if it has both.
pub fn parse_arn(arn: &str) -> Option<(String, String)> {
    // arn:partition:service:region:account:resource; the ARNs of IAM have no region.
    let mut parts = arn.split(':');
    let is_arn = parts.next() == Some("arn");
    let (region, account) = (parts.nth(2)?, parts.next()?);
    (is_arn && !region.is_empty() && is_account(account))
        .then(|| (account.to_owned(), region.to_owned()))
}

/// Returns the account of the role of a task definition. Its roles must be in the account that registers it.
pub fn account_of_roles(definition: &Value) -> Option<String> {
    ["executionRoleArn", "taskRoleArn"].iter().find_map(|name| {
        let account = definition[*name].as_str()?.split(':').nth(4)?;
        is_account(account).then(|| account.to_owned())
    })
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

impl fmt::Display for AccountMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            caller,
            region,
            expected,
        } = self;

        let place = match (&expected.account, &expected.region) {
            (Some(account), Some(region)) => format!("account {account} in {region}"),
            (Some(account), None) => format!("account {account}"),
            (None, region) => region.clone().unwrap_or_default(),
        };

        // The first way out: other credentials, or another region with the same ones.
        let other_login = match (&expected.account, &expected.region) {
            (Some(account), _) if *account != caller.account => {
                format!("log in to {account} (`--profile NAME`)")
            }
            (_, Some(expected)) => format!("pass `--region {expected}`"),
            _ => "log in to another account".to_owned(),
        };

        write!(
            f,
            "{} is for {place}, but the credentials are of account {} ({}) in {region}; nothing was changed: \
             either {other_login}, or {}",
            expected.origin, caller.account, caller.arn, expected.remedy
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{account_of_roles, parse_arn};

    #[test]
    fn reads_accounts_from_arns() {
        let arn = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web:3";
        let found = parse_arn(arn).expect("an ARN with account and region");
        assert_eq!(
            found,
            ("111122223333".to_owned(), "eu-central-1".to_owned())
        );
        assert_eq!(parse_arn("web:3"), None);
        assert_eq!(parse_arn("arn:aws:iam::111122223333:role/x"), None);
    }

    #[test]
    fn reads_the_account_of_the_roles() {
        let definition = json!({ "taskRoleArn": "arn:aws:iam::111122223333:role/app" });
        assert_eq!(
            account_of_roles(&definition).as_deref(),
            Some("111122223333")
        );
        assert_eq!(account_of_roles(&json!({ "taskRoleArn": "app" })), None);
    }
}
