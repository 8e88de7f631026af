//! AWS credentials for the containers of a task.

use local::Error;
use task_runner::metadata::CredentialsSource;

use crate::ui::Ui;

/// The source of the containers' AWS credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CredentialsChoice {
    /// No credentials.
    Off,
    /// The caller's own credentials, or those of a profile.
    Profile(Option<String>),
    /// The task role, or the given role; the caller must be allowed to assume it.
    Role(Option<String>),
}

/// Parses `--credentials`.
pub(crate) fn parse_choice(text: &str) -> Result<CredentialsChoice, String> {
    let (kind, which) = text
        .split_once(':')
        .map_or((text, None), |(kind, which)| (kind, Some(which)));
    // `profile:` and `role:` mean the same as without the colon.
    let which = which.filter(|which| !which.is_empty()).map(str::to_owned);
    match kind {
        "off" if which.is_none() => Ok(CredentialsChoice::Off),
        "profile" => Ok(CredentialsChoice::Profile(which)),
        "role" => Ok(CredentialsChoice::Role(which)),
        _ => Err("expected off, profile, profile:NAME, role or role:ARN".to_owned()),
    }
}

/// Returns the source, after a message that containers get real credentials.
#[cfg(feature = "aws")]
pub(super) async fn source(
    choice: &CredentialsChoice,
    role: Option<String>,
    ui: &Ui,
) -> Result<Option<CredentialsSource>, Error> {
    use ecs_client::{CredentialSource, TaskCredentials};

    use task_runner::metadata::Credentials;

    let source = match choice {
        CredentialsChoice::Off => return Ok(None),
        CredentialsChoice::Profile(name) => CredentialSource::Profile(name.clone()),
        CredentialsChoice::Role(chosen) => {
            let arn = chosen.clone().or_else(|| role.clone()).ok_or_else(|| {
                Error::Usage(
                    "`--credentials role`: the definition has no taskRoleArn; pass a role: role:ARN"
                        .to_owned(),
                )
            })?;
            CredentialSource::Role(arn)
        }
    };

    let failure = |why: String| Error::Usage(format!("cannot get credentials for the task: {why}"));
    let credentials = TaskCredentials::from_source(&source)
        .await
        .map_err(failure)?;

    // Fail now and not at the first request of a container.
    credentials.get().await.map_err(failure)?;
    let (description, role_arn) = match source {
        CredentialSource::Profile(None) => (
            "your own AWS credentials".to_owned(),
            role.unwrap_or_default(),
        ),
        CredentialSource::Profile(Some(name)) => (
            format!("the credentials of your profile {name}"),
            role.unwrap_or_default(),
        ),
        CredentialSource::Role(arn) => (format!("the credentials of {arn}"), arn),
    };

    ui.message(&format!("containers get {description}"));
    Ok(Some(CredentialsSource::new(move || {
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

/// Rejects credentials: this build has no AWS client.
#[cfg(not(feature = "aws"))]
#[expect(clippy::unused_async, reason = "the other build's waits")]
pub(super) async fn source(
    choice: &CredentialsChoice,
    _: Option<String>,
    _: &Ui,
) -> Result<Option<CredentialsSource>, Error> {
    match choice {
        CredentialsChoice::Off => Ok(None),
        CredentialsChoice::Profile(_) | CredentialsChoice::Role(_) => {
            let why =
                "`--credentials` is not available in this build; build it with the feature `aws`";
            Err(Error::Usage(why.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_off_profiles_and_roles() {
        assert_eq!(parse_choice("off"), Ok(CredentialsChoice::Off));
        assert_eq!(
            parse_choice("profile"),
            Ok(CredentialsChoice::Profile(None))
        );
        assert_eq!(
            parse_choice("profile:dev"),
            Ok(CredentialsChoice::Profile(Some("dev".into())))
        );

        let arn = "arn:aws:iam::111122223333:role/app";
        assert_eq!(
            parse_choice(&format!("role:{arn}")),
            Ok(CredentialsChoice::Role(Some(arn.into())))
        );
        assert!(parse_choice("off:x").is_err() && parse_choice("mine").is_err());
    }
}
