//! Where a task's containers get AWS credentials from.

use task_runner::metadata::Source;

use super::target::Target;
use crate::failure::Failure;
use crate::talk::Talk;

/// Whose credentials the containers get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Nobody's.
    Off,
    /// The caller's own, or a profile's.
    Profile(Option<String>),
    /// The task role's, or another role's, which the caller may assume.
    Role(Option<String>),
}

/// Reads one.
pub(super) fn choice(text: &str) -> Result<Choice, String> {
    let (kind, which) = text
        .split_once(':')
        .map_or((text, None), |(kind, which)| (kind, Some(which)));
    let which = which.filter(|which| !which.is_empty()).map(str::to_owned);
    match kind {
        "off" if which.is_none() => Ok(Choice::Off),
        "profile" => Ok(Choice::Profile(which)),
        "role" => Ok(Choice::Role(which)),
        _ => Err("is none of off, profile, profile:NAME, role, role:ARN".to_owned()),
    }
}

/// Whom to ask; says that containers hold real credentials.
#[cfg(feature = "aws")]
pub(super) async fn source(
    choice: &Choice,
    target: &Target,
    talk: &Talk,
) -> Result<Option<Source>, Failure> {
    use ecs_client::{TaskCredentials, Whose};

    use task_runner::metadata::Credentials;

    let role = target.definition.task_role_arn.clone();
    let whose = match choice {
        Choice::Off => return Ok(None),
        Choice::Profile(name) => Whose::Profile(name.clone()),
        Choice::Role(named) => {
            let arn = named.clone().or_else(|| role.clone()).ok_or_else(|| {
                Failure::Usage(
                    "`--credentials role`: the definition has no taskRoleArn; name one: role:ARN"
                        .to_owned(),
                )
            })?;
            Whose::Role(arn)
        }
    };

    let failure = |why: String| Failure::Usage(format!("no credentials for the task: {why}"));
    let credentials = TaskCredentials::of(&whose).await.map_err(failure)?;

    // Better now than when the app asks.
    credentials.get().await.map_err(failure)?;
    let (told, role_arn) = match whose {
        Whose::Profile(None) => (
            "your own AWS credentials".to_owned(),
            role.unwrap_or_default(),
        ),
        Whose::Profile(Some(name)) => (
            format!("the credentials of your profile {name}"),
            role.unwrap_or_default(),
        ),
        Whose::Role(arn) => (format!("the credentials of {arn}"), arn),
    };

    talk.say(&format!("containers get {told}"));
    Ok(Some(Source::new(move || {
        let (credentials, role_arn) = (credentials.clone(), role_arn.clone());
        Box::pin(async move {
            let (access_key_id, secret_access_key, token, expiration) = credentials.get().await?;
            Ok(Credentials {
                role_arn,
                access_key_id,
                secret_access_key,
                token,
                expiration,
            })
        })
    })))
}

/// This build does not speak to AWS.
#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "the other build's waits")]
pub(super) async fn source(
    choice: &Choice,
    _: &Target,
    _: &Talk,
) -> Result<Option<Source>, Failure> {
    match choice {
        Choice::Off => Ok(None),
        Choice::Profile(_) | Choice::Role(_) => {
            let why = "`--credentials`: this build does not speak to AWS; build it with the feature `aws`";
            Err(Failure::Usage(why.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_nobodys_a_profiles_or_a_roles() {
        assert_eq!(choice("off"), Ok(Choice::Off));
        assert_eq!(choice("profile"), Ok(Choice::Profile(None)));
        assert_eq!(
            choice("profile:dev"),
            Ok(Choice::Profile(Some("dev".into())))
        );

        let arn = "arn:aws:iam::111122223333:role/app";
        assert_eq!(
            choice(&format!("role:{arn}")),
            Ok(Choice::Role(Some(arn.into())))
        );
        assert!(choice("off:x").is_err() && choice("mine").is_err());
    }
}
