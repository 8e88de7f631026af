//! The account, the region and the login of the verbs.

use serde_json::Value;

use crate::common::{
    ACCOUNT, PLAIN, REVISION, TASK, aws, aws_elsewhere, command, ecs, output, project,
    run_arguments, stopped,
};
use crate::support::{self};

#[test]
fn example_values_are_never_registered_on_aws() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    for arguments in [vec!["register", "shop"], run_arguments("shop", &[])] {
        let refused = aws_elsewhere(&project, &ecs, &arguments);
        assert!(matches!(refused.code, Some(2 | 125)), "{refused:?}");
        assert!(
            refused
                .err
                .contains("assemblies/values/example.yaml has example values"),
            "{}",
            refused.err
        );
        assert!(refused.err.contains("--values NAME"), "{}", refused.err);
    }

    // Neither the definition nor anything else was sent.
    assert_eq!(ecs.requests.lock().unwrap().len(), 0);
}

#[test]
fn another_account_or_region_is_refused_before_any_write() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    let values = support::VALUES.replace("111122223333", "999988887777");
    project.write("assemblies/values/other.yaml", values);
    let account = aws_elsewhere(&project, &ecs, &["register", "shop", "--values", "other"]);

    assert_eq!(account.code, Some(2), "{account:?}");
    for part in [
        "assemblies/values/other.yaml is for account 999988887777 in eu-central-1",
        "the credentials are of account 210987654321",
        "log in to 999988887777 (`--profile NAME`)",
        "`--values NAME`",
    ] {
        assert!(account.err.contains(part), "{part}: {}", account.err);
    }

    let region = [
        "register",
        "shop",
        "--values",
        "prod",
        "--region",
        "us-east-1",
    ];
    let region = aws_elsewhere(&project, &ecs, &region);

    assert_eq!(region.code, Some(2), "{region:?}");
    assert!(
        region.err.contains("in us-east-1") && region.err.contains("--region eu-central-1"),
        "{}",
        region.err
    );

    let arn = REVISION.replace(ACCOUNT, "999988887777");
    let run = aws_elsewhere(&project, &ecs, &run_arguments(&arn, &[]));
    assert_eq!(run.code, Some(125), "{run:?}");
    assert!(run.err.contains("account 999988887777"), "{}", run.err);
    assert_eq!(ecs.count("GetCallerIdentity"), 3);
    assert_eq!(
        ecs.count("RegisterTaskDefinition") + ecs.count("RunTask"),
        0
    );
}

#[test]
fn the_right_account_is_registered_and_run() {
    let (project, ecs) = (project(), ecs(stopped(7)));
    let early = aws_elsewhere(
        &project,
        &ecs,
        &run_arguments("shop", &["--values", "prod"]),
    );

    assert_eq!(early.code, Some(125), "{early:?}");
    assert!(
        early
            .err
            .contains("never registered; run `assemble register shop`"),
        "{}",
        early.err
    );

    let registered = aws_elsewhere(&project, &ecs, &["register", "shop", "--values", "prod"]);
    assert_eq!(
        (registered.code, registered.out.trim()),
        (Some(0), REVISION),
        "{registered:?}"
    );

    // The revision that was compared, and the exit code of the task.
    let run = aws_elsewhere(
        &project,
        &ecs,
        &run_arguments("shop", &["--values", "prod"]),
    );

    assert_eq!(run.code, Some(7), "{run:?}");
    assert_eq!(ecs.body("RunTask")["taskDefinition"], REVISION);

    let changed = ["--values", "prod", "--value", "registry=other.example"];
    let changed = aws_elsewhere(&project, &ecs, &run_arguments("shop", &changed));
    assert_eq!(changed.code, Some(125), "{changed:?}");
    assert!(changed.err.contains("differs from"), "{}", changed.err);
    assert_eq!(ecs.count("RunTask"), 1);
}

#[test]
fn a_file_with_roles_of_another_account_is_refused() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    let file = |account: &str| {
        let mut definition: Value = serde_json::from_str(PLAIN).unwrap();
        definition["taskRoleArn"] = format!("arn:aws:iam::{account}:role/web").into();
        definition.to_string()
    };
    project.write("other.json", file("999988887777"));
    project.write("example.json", file("111122223333"));
    let other = aws_elsewhere(&project, &ecs, &["register", "other.json"]);

    assert!(
        other.err.contains("change the ARNs of its roles"),
        "{other:?}"
    );
    let example = aws_elsewhere(&project, &ecs, &["register", "example.json"]);

    assert!(
        example
            .err
            .contains("111122223333, which is only an example"),
        "{example:?}"
    );
    assert_eq!(ecs.count("RegisterTaskDefinition"), 0);
}

#[test]
fn placeholders_are_refused() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    project.write("task.json", PLAIN.replace("web:1.0", "${REGISTRY}/web:1.0"));
    for verb in ["register", "diff"] {
        let refused = aws(&project, &ecs.url, &[verb, "task.json"]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(
            refused.err.contains("`${REGISTRY}` is a placeholder"),
            "{}",
            refused.err
        );
    }

    assert_eq!(
        ecs.count("RegisterTaskDefinition") + ecs.count("DescribeTaskDefinition"),
        0
    );
}

#[test]
fn the_options_of_the_login_apply_to_every_verb() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    project.write("task.json", PLAIN);
    project.write(
        ".aws/config",
        "[profile dev]\naws_access_key_id = AKIDDEV\naws_secret_access_key = x\n",
    );

    let run = run_arguments("shop:1", &[]);
    let verbs = [
        &["register", "task.json"][..],
        &["diff", "task.json"],
        &run,
        &["why", TASK],
    ];

    for verb in verbs {
        let login = [
            "--profile",
            "dev",
            "--region",
            "eu-west-1",
            "--endpoint-url",
            &ecs.url,
        ];
        let mut command = command(&project, "http://127.0.0.1:9", &[verb, &login].concat());
        command.env_remove("AWS_REGION");
        let before = ecs.requests.lock().unwrap().len();
        let output = output(command);
        assert!(matches!(output.code, Some(0 | 1)), "{verb:?}: {output:?}");

        let requests = ecs.requests.lock().unwrap();
        let new = &requests[before..];
        assert!(!new.is_empty(), "{verb:?}");
        for (operation, _, scope) in new {
            assert!(
                scope.contains("Credential=AKIDDEV/") && scope.contains("/eu-west-1/"),
                "{operation}: {scope}"
            );
        }
    }
}

#[test]
fn an_expired_session_says_how_to_log_in() {
    let (project, ecs) = (project(), ecs(stopped(0)));
    project.write(
        ".aws/config",
        "[profile sso]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Dev\n\
         [sso-session corp]\nsso_start_url = https://corp.example/start\nsso_region = eu-central-1\n",
    );

    let mut register = command(
        &project,
        &ecs.url,
        &["register", "shop", "--profile", "sso"],
    );
    register.env_remove("AWS_ACCESS_KEY_ID");
    let expired = output(register);

    assert_eq!(expired.code, Some(2), "{expired:?}");
    assert!(
        expired.err.contains("aws sso login --profile sso"),
        "{}",
        expired.err
    );
}
