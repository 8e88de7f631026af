//! Tests of every source of credentials, in child processes, since environment variables are global to a process.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing helper fails the test, and the child prints its result"
)]

#[path = "support/identity.rs"]
mod identity;

use std::fs;
use std::process::Command;

use ecs_client::{Client, CredentialSource, Login, TaskCredentials, caller};
use identity::{FakeIdentity, SECRET};
use tempfile::TempDir;

/// A home directory with profiles, and the services that they use.
struct Home {
    directory: TempDir,
    services: FakeIdentity,
}

impl Home {
    fn new(profiles: &str) -> Self {
        let home = Self {
            directory: TempDir::new().unwrap(),
            services: FakeIdentity::start(),
        };
        home.write(".aws/config", profiles);
        home
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes the token that `aws sso login` writes; the file's name is the SHA-1 digest of the session or URL.
    fn write_token(&self, digest: &str, token: &str, expires: &str, more: &str) {
        let text = format!(r#"{{"accessToken": "{token}", "expiresAt": "{expires}"{more}}}"#);
        self.write(&format!(".aws/sso/cache/{digest}.json"), &text);
    }

    /// Logs in with a profile, and returns `OK` with the access key, or the error.
    fn log_in(&self, profile: Option<&str>, variables: &[(&str, &str)]) -> String {
        self.child("client", profile, variables)
    }

    fn child(&self, kind: &str, profile: Option<&str>, variables: &[(&str, &str)]) -> String {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--nocapture"])
            .env_clear()
            .env("ECS_CLIENT_TEST_CHILD", kind)
            .env("HOME", self.directory.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ENDPOINT_URL", &self.services.url)
            .env("AWS_EC2_METADATA_DISABLED", "true");

        // The profile has both.
        if kind == "profile only" {
            command
                .env_remove("AWS_REGION")
                .env_remove("AWS_ENDPOINT_URL");
        }
        // The credentials of a task need no region.
        if kind == "task" {
            command.env_remove("AWS_REGION");
        }
        if let Some(profile) = profile {
            command.env("ECS_CLIENT_TEST_PROFILE", profile);
        }

        let output = command.envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);

        assert!(!text.contains(SECRET), "a secret was printed: {text}");
        let result = text.lines().find_map(|line| line.split_once("RESULT "));
        result.map_or_else(|| panic!("{text}"), |(_, result)| result.to_owned())
    }
}

/// Logs in and prints the result. Does nothing in the parent process.
#[tokio::test]
async fn child() {
    let Ok(kind) = std::env::var("ECS_CLIENT_TEST_CHILD") else {
        return;
    };
    let profile = std::env::var("ECS_CLIENT_TEST_PROFILE").ok();
    let result = if kind == "task" {
        let source = CredentialSource::Profile(profile);
        match TaskCredentials::from_source(&source).await {
            Ok(credentials) => credentials.get().await.map(|(key, ..)| key),
            Err(error) => Err(error),
        }
    } else {
        let login = Login {
            profile,
            ..Login::default()
        };
        let account = async {
            let client = Client::log_in(&login).await?;
            caller(&client).await
        };
        // The fake STS returns the access key as the account.
        let account = account.await.map_err(|error| error.to_string());
        account.map(|caller| caller.unwrap().account)
    };

    match result {
        Ok(key) => println!("RESULT OK {key}"),
        Err(error) => println!("RESULT {error}"),
    }
}

const SSO: &str = "
[profile sso]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Dev
[profile chained]
role_arn = arn:aws:iam::111122223333:role/deploy
source_profile = sso
[profile unassigned]
sso_session = corp
sso_account_id = 111122223333
sso_role_name = Unassigned
[sso-session corp]
sso_start_url = https://corp.example/start
sso_region = eu-central-1
sso_registration_scopes = sso:account:access
[profile legacy]
sso_start_url = https://old.example/start
sso_region = eu-central-1
sso_account_id = 111122223333
sso_role_name = Dev
";
/// `printf corp | sha1sum`
const CORP: &str = "ee0bfd2552fbd840c02cc48b6e823320543c450f";
/// `printf https://old.example/start | sha1sum`
const OLD: &str = "103c764598c7bfb84492cce4b625216b27775ddd";
const FUTURE: &str = "2099-01-01T00:00:00Z";
const PAST: &str = "2020-01-01T00:00:00Z";

#[test]
fn logs_in_with_an_sso_session() {
    let home = Home::new(SSO);
    home.write_token(CORP, "valid", FUTURE, "");
    assert_eq!(home.log_in(Some("sso"), &[]), "OK AKIDSSO");
    // The profile may also come from the environment.
    assert_eq!(home.log_in(None, &[("AWS_PROFILE", "sso")]), "OK AKIDSSO");
    // A role on top of the session.
    assert_eq!(home.log_in(Some("chained"), &[]), "OK AKIDROLE");
}

#[test]
fn renews_an_sso_session_with_its_refresh_token() {
    let home = Home::new(SSO);
    let more = r#", "refreshToken": "r", "clientId": "c", "clientSecret": "s", "registrationExpiresAt": "2099-01-01T00:00:00Z""#;
    // The file has all that a renewal needs.
    home.write_token(CORP, "old", PAST, more);
    assert_eq!(home.log_in(Some("sso"), &[]), "OK AKIDSSO");
    assert_eq!(
        home.services.count(&["POST /token"]),
        1,
        "{}",
        home.services.log()
    );
}

#[test]
fn an_sso_session_that_is_missing_or_expired_says_how_to_log_in() {
    let home = Home::new(SSO);
    let missing = home.log_in(Some("sso"), &[]);
    assert!(
        missing.contains("cannot log in with profile `sso`"),
        "{missing}"
    );

    assert!(missing.contains("aws sso login --profile sso"), "{missing}");

    home.write_token(CORP, "old", PAST, "");
    let expired = home.log_in(Some("sso"), &[]);
    assert!(expired.contains("has expired"), "{expired}");
    assert!(expired.contains("aws sso login --profile sso"), "{expired}");
    // The session belongs to the source of the role, and `aws sso login` needs that profile.
    let chained = home.log_in(Some("chained"), &[]);

    assert!(chained.contains("profile `chained`"), "{chained}");
    assert!(chained.contains("aws sso login --profile sso"), "{chained}");

    // The portal does not know the token any more, although the file says that it is valid.
    home.write_token(CORP, "revoked", FUTURE, "");
    let revoked = home.log_in(Some("sso"), &[]);
    assert!(revoked.contains("aws sso login --profile sso"), "{revoked}");
}

#[test]
fn an_unassigned_sso_role_does_not_ask_to_log_in_again() {
    let home = Home::new(SSO);
    home.write_token(CORP, "valid", FUTURE, "");
    let refused = home.log_in(Some("unassigned"), &[]);
    assert!(refused.contains("No access"), "{refused}");
    assert!(
        refused.contains("check `sso_account_id` and `sso_role_name`"),
        "{refused}"
    );
}

#[test]
fn logs_in_with_an_older_sso_profile() {
    let home = Home::new(SSO);
    home.write_token(OLD, "valid", FUTURE, "");
    assert_eq!(home.log_in(Some("legacy"), &[]), "OK AKIDSSO");
    // The SDK does not look at the time; the portal refuses the token.
    home.write_token(OLD, "expired", PAST, "");
    let expired = home.log_in(Some("legacy"), &[]);
    assert!(
        expired.contains("aws sso login --profile legacy"),
        "{expired}"
    );
}

#[test]
fn logs_in_with_a_credential_process_once() {
    let home = Home::new("");
    let counter = home.directory.path().join("count");
    let program = format!(
        "#!/bin/sh\necho called >> '{}'\nprintf '%s' '{{\"Version\": 1, \"AccessKeyId\": \"AKIDPROC\", \"SecretAccessKey\": \"{SECRET}\"}}'\n",
        counter.display()
    );
    home.write("provide", &program);
    let config = format!(
        "[profile proc]\ncredential_process = /bin/sh '{}'\n",
        home.directory.path().join("provide").display()
    );
    home.write(".aws/config", &config);

    assert_eq!(home.log_in(Some("proc"), &[]), "OK AKIDPROC");
    // The process may ask its user for a code, so it must not run again for each call.
    assert_eq!(fs::read_to_string(counter).unwrap().lines().count(), 1);
}

#[test]
fn a_failing_credential_process_is_explained_without_its_output() {
    let home = Home::new(&format!(
        "[profile fails]\ncredential_process = /bin/sh -c 'echo no vault is open >&2; exit 3' --password {SECRET}\n\
         [profile text]\ncredential_process = /bin/echo key={SECRET}\n"
    ));
    let fails = home.log_in(Some("fails"), &[]);
    assert!(fails.contains("no vault is open"), "{fails}");
    assert!(
        fails.contains("run the `credential_process` of profile `fails` by hand"),
        "{fails}"
    );
    // `log_in` asserts that no message contains the secret.
    let text = home.log_in(Some("text"), &[]);
    assert!(text.contains("cannot log in with profile `text`"), "{text}");
}

#[test]
fn a_named_profile_takes_precedence_over_keys_of_the_environment() {
    let home =
        Home::new("[profile keys]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = x\n");
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIDENV"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    assert_eq!(home.log_in(Some("keys"), &keys), "OK AKIDPROFILE");
    assert_eq!(home.log_in(None, &keys), "OK AKIDENV");
    // `up --credentials profile:keys`
    assert_eq!(home.child("task", Some("keys"), &keys), "OK AKIDPROFILE");
}

/// A profile as in the AWS documentation of `endpoint_url`, which also applies to its login.
#[test]
fn uses_the_endpoint_of_the_profile() {
    let home = Home::new("");
    let config = format!(
        "[profile local]\naws_access_key_id = AKIDLOCAL\naws_secret_access_key = x\n\
         region = eu-west-1\nendpoint_url = {}\n",
        home.services.url
    );
    home.write(".aws/config", &config);
    assert_eq!(
        home.child("profile only", Some("local"), &[]),
        "OK AKIDLOCAL"
    );
}

#[test]
fn tasks_get_credentials_of_sso_profiles_too() {
    let home = Home::new(SSO);
    home.write_token(CORP, "valid", FUTURE, "");
    assert_eq!(home.child("task", Some("sso"), &[]), "OK AKIDSSO");
    home.write_token(CORP, "old", PAST, "");
    let expired = home.child("task", Some("sso"), &[]);
    assert!(expired.contains("aws sso login --profile sso"), "{expired}");
}

#[test]
fn assumes_roles_along_a_chain() {
    let home = Home::new(
        "[profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = x\n\
         [profile middle]\nrole_arn = arn:aws:iam::111122223333:role/middle\nsource_profile = base\n\
         [profile end]\nrole_arn = arn:aws:iam::444455556666:role/end\nsource_profile = middle\n\
         [profile refused]\nrole_arn = arn:aws:iam::111122223333:role/Refused\nsource_profile = base\n",
    );

    // Both roles are assumed, the second one with the credentials of the first.
    assert_eq!(home.log_in(Some("end"), &[]), "OK AKIDROLE");
    assert_eq!(
        home.services.count(&["AssumeRole", "middle"]),
        1,
        "{}",
        home.services.log()
    );

    assert_eq!(
        home.services.count(&["AssumeRole", "end"]),
        1,
        "{}",
        home.services.log()
    );

    let refused = home.log_in(Some("refused"), &[]);
    assert!(
        refused.contains("not authorized to perform: sts:AssumeRole"),
        "{refused}"
    );
}

#[test]
fn logs_in_with_a_web_identity() {
    let home = Home::new("");
    home.write("token", "a.web.token");
    let token = home.directory.path().join("token").display().to_string();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.as_str()),
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/ci"),
    ];
    assert_eq!(home.log_in(None, &variables), "OK AKIDROLE");
    assert_eq!(
        home.services
            .count(&["AssumeRoleWithWebIdentity", "a.web.token"]),
        1
    );
}

#[test]
fn logs_in_with_the_metadata_of_containers_and_instances() {
    let home = Home::new("");
    let url = format!("{}/container", home.services.url);
    let container = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str())];
    assert_eq!(home.log_in(None, &container), "OK AKIDCONTAINER");
    let instance = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        (
            "AWS_EC2_METADATA_SERVICE_ENDPOINT",
            home.services.url.as_str(),
        ),
    ];
    assert_eq!(home.log_in(None, &instance), "OK AKIDINSTANCE");
}

#[test]
fn profiles_that_are_not_supported_say_what_to_do() {
    let home = Home::new(
        "[profile login]\nlogin_session = arn:aws:iam::111122223333:user/me\n\
         [profile mfa]\nrole_arn = arn:aws:iam::111122223333:role/Refused\nsource_profile = base\n\
         mfa_serial = arn:aws:iam::111122223333:mfa/me\n\
         [profile base]\naws_access_key_id = AKIDBASE\naws_secret_access_key = x\n",
    );
    for (profile, reason) in [("login", "`login_session`"), ("mfa", "`mfa_serial`")] {
        let message = home.log_in(Some(profile), &[]);
        assert!(message.contains(reason), "{message}");
        let command = format!("aws configure export-credentials --profile {profile} --format env");
        assert!(message.contains(&command), "{message}");
    }
}

#[test]
fn an_unknown_profile_lists_those_that_there_are() {
    let home =
        Home::new("[profile prod]\nregion = eu-central-1\n[profile dev]\nregion = eu-central-1\n");
    let message = home.log_in(Some("prd"), &[]);
    assert_eq!(
        message,
        "there is no AWS profile `prd`; choose one of: dev, prod"
    );

    let keys = [
        ("AWS_PROFILE", "prd"),
        ("AWS_ACCESS_KEY_ID", "AKIDENV"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];

    assert!(
        home.log_in(None, &keys)
            .contains("there is no AWS profile `prd`")
    );
}

#[test]
fn no_credentials_at_all_are_explained() {
    let home = Home::new("");
    // Not even a profile named `default`.
    let message = home.log_in(None, &[]);
    assert!(
        message.starts_with("no AWS credentials were found; log in"),
        "{message}"
    );
}

#[test]
fn credentials_that_aws_rejects_are_explained() {
    let home = Home::new("");
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIDEXPIRED"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_SESSION_TOKEN", "old"),
    ];
    let message = home.log_in(None, &keys);
    assert!(
        message.contains("rejected the credentials of the environment for GetCallerIdentity"),
        "{message}"
    );
    assert!(message.contains("(ExpiredToken); log in"), "{message}");
}
