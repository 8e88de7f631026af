//! The profile that credentials come from, as far as messages need it.

use aws_config::profile::{ProfileSet, load};
use aws_types::os_shim_internal::{Env, Fs};

use crate::error::Error;

/// The profile that the credentials come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The name, such as `default`.
    pub(crate) name: String,
    /// The source of its credentials.
    pub(crate) kind: ProfileKind,
    /// The profile with this source, at the end of the chain of `source_profile`.
    pub(crate) source: String,
}

/// The source of a profile's credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProfileKind {
    /// IAM Identity Center: `sso_session`, or the older `sso_start_url`.
    Sso,
    /// `aws login`: `login_session`.
    Login,
    /// Another program: `credential_process`.
    Process,
    /// A role that asks for a code: `mfa_serial`.
    Mfa,
    /// Keys, tokens, or the metadata of an instance or container.
    Other,
}

impl Profile {
    /// Reads the chosen profile, else that of `AWS_PROFILE`, else `default`; `None` if there is none and none was
    /// chosen.
    #[expect(
        clippy::default_trait_access,
        reason = "the type is in a crate that aws-config does not export"
    )]
    pub(crate) async fn read(chosen: Option<&str>) -> Result<Option<Self>, Error> {
        let env = Env::real();
        let chosen_name = chosen.map(str::to_owned);
        let set = load(
            &Fs::real(),
            &env,
            &Default::default(),
            chosen_name.map(Into::into),
        )
        .await
        .map_err(|error| Error::Profiles {
            detail: crate::error::causes(&error),
        })?;

        let name = set.selected_profile();
        let is_chosen = chosen.is_some() || env.get("AWS_PROFILE").is_ok_and(|it| !it.is_empty());
        if set.get_profile(name).is_none() {
            return if is_chosen {
                Err(unknown(name, &set))
            } else {
                Ok(None)
            };
        }

        Ok(Some(Self::follow(name, &set)))
    }

    /// Follows `source_profile` to the profile with credentials.
    fn follow(name: &str, set: &ProfileSet) -> Self {
        // In the order in which the SDK looks for them.
        let (mut source, mut kind) = (name, ProfileKind::Other);
        for _ in 0..MAX_CHAIN {
            let get = |key: &str| set.get_profile(source).and_then(|profile| profile.get(key));
            let has = |key: &str| get(key).is_some();
            kind = if has("sso_session") || has("sso_start_url") {
                ProfileKind::Sso
            } else if has("login_session") {
                ProfileKind::Login
            } else if has("credential_process") {
                ProfileKind::Process
            } else if has("mfa_serial") {
                ProfileKind::Mfa
            } else {
                ProfileKind::Other
            };

            match get("source_profile") {
                // The SDK does not ask for codes, so the role with `mfa_serial` is what fails.
                Some(next) if next != source && kind == ProfileKind::Other => source = next,
                _ => break,
            }
        }

        Self {
            name: name.to_owned(),
            kind,
            source: source.to_owned(),
        }
    }

    /// Returns what to do if the profile provides no credentials.
    pub(crate) fn advice(&self) -> String {
        let Self { name, source, .. } = self;
        // Credentials of every kind that the AWS CLI supports.
        let export = format!(
            "let the AWS CLI log in: eval \"$(aws configure export-credentials --profile {name} --format env)\", without --profile and AWS_PROFILE"
        );

        match self.kind {
            ProfileKind::Sso => format!("log in: aws sso login --profile {source}"),
            ProfileKind::Login => {
                format!("profiles with `login_session` are not supported; {export}")
            }
            ProfileKind::Mfa => format!("codes (`mfa_serial`) are not supported; {export}"),
            ProfileKind::Process => {
                format!("run the `credential_process` of profile `{source}` by hand")
            }
            ProfileKind::Other => format!("check profile `{source}` in ~/.aws/config"),
        }
    }
}

fn unknown(name: &str, set: &ProfileSet) -> Error {
    let mut known: Vec<_> = set.profiles().map(str::to_owned).collect();
    known.sort();
    Error::UnknownProfile {
        name: name.to_owned(),
        known,
    }
}

/// Longer chains are loops; the SDK reports those.
const MAX_CHAIN: usize = 10;
