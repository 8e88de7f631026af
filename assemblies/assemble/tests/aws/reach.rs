//! `logs`, `exec` and `forward` on AWS.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::common::{aws, command, output};
use crate::service::Service;
use crate::service_fake::TASK;
use crate::support::{CommandOutput, Project};

#[test]
fn shows_the_output_of_services_and_tasks() {
    let project = Project::empty();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis();
    let now = u64::try_from(now).unwrap();
    let id = TASK.rsplit('/').next().unwrap();
    let service = Service::with(|state| {
        state.run_task();
        let line = |age: u64, text: &str| {
            (
                now - age * 1000,
                format!("web/app/{id}"),
                format!("{text}\n"),
            )
        };
        state.lines = vec![
            line(5, "second"),
            line(9, "first"),
            line(3600, "an hour ago"),
        ];
    });
    let logs = |more: &[&str]| aws(&project, service.url(), &[&["logs"][..], more].concat());

    let all = logs(&["--service", "main/web"]);
    assert_eq!(
        all.out, "01234567 app | first\n01234567 app | second\n",
        "{all:?}"
    );
    let plain = logs(&["app", "--task", TASK]);
    assert_eq!(plain.out, "first\nsecond\n", "{plain:?}");
    let short = logs(&["--task", &format!("main/{id}"), "--since", "2h"]);
    assert_eq!(
        short.out, "app | an hour ago\napp | first\napp | second\n",
        "{short:?}"
    );

    let none = logs(&["proxy", "--service", "main/web"]);
    assert!(
        none.code == Some(2) && none.err.contains("log driver awslogs"),
        "{none:?}"
    );
    let local = logs(&["--since", "5m"]);
    assert!(
        local.code == Some(2) && local.err.contains("--service CLUSTER/SERVICE"),
        "{local:?}"
    );
}

/// Runs a verb with a plugin in PATH that prints its arguments.
fn with_plugin(project: &Project, service: &Service, arguments: &[&str]) -> CommandOutput {
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\"\nprintf '%s\\n' \"$AWS_SSM_START_SESSION_RESPONSE\"\nexit 7\n";
    let plugin = project.write("bin/session-manager-plugin", script);
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command(project, service.url(), arguments);
    command.env(
        "PATH",
        format!("{}:/usr/bin:/bin", plugin.parent().unwrap().display()),
    );
    output(command)
}

#[test]
fn runs_a_command_with_the_session_manager_plugin() {
    let (project, service) = (
        Project::empty(),
        Service::with(crate::service_fake::State::run_task),
    );
    let arguments = ["exec", "app", "--service", "main/web", "--", "ls", "a b"];
    let run = with_plugin(&project, &service, &arguments);
    assert_eq!(run.code, Some(7), "the plugin's exit code: {run:?}");
    let id = TASK.rsplit('/').next().unwrap();
    let lines: Vec<_> = run.out.lines().collect();
    assert_eq!(
        lines[..4],
        [
            "AWS_SSM_START_SESSION_RESPONSE",
            "eu-central-1",
            "StartSession",
            ""
        ]
    );
    assert_eq!(lines[4], format!(r#"{{"Target":"ecs:main_{id}_0123-1"}}"#));
    assert!(lines[6].contains("\"tokenValue\":\"secret\""), "{run:?}");
    assert!(!run.err.contains("secret"), "{run:?}");
    assert_eq!(service.http.body("ExecuteCommand")["command"], "ls 'a b'");
}

#[test]
fn forwards_a_port() {
    let (project, service) = (
        Project::empty(),
        Service::with(crate::service_fake::State::run_task),
    );
    let run = with_plugin(
        &project,
        &service,
        &["forward", "proxy", "9000:8443", "--task", TASK],
    );
    assert_eq!(run.code, Some(7), "{run:?}");
    let body = service.http.body("StartSession");
    assert_eq!(body["Parameters"]["portNumber"][0], "8443");
    assert_eq!(body["Parameters"]["localPortNumber"][0], "9000");
}

#[test]
fn says_what_is_missing_for_a_command() {
    let (project, service) = (
        Project::empty(),
        Service::with(crate::service_fake::State::run_task),
    );
    let arguments = ["exec", "app", "--task", TASK, "--", "date"];
    let mut without = command(&project, service.url(), &arguments);
    without.env("PATH", project.root());
    let without = output(without);
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(
        without.err.contains("session-manager-plugin"),
        "{}",
        without.err
    );
    assert_eq!(
        service.calls(),
        0,
        "a session without a plugin would stay open"
    );

    service
        .state
        .change(|state| state.tasks[0]["enableExecuteCommand"] = false.into());
    let disabled = with_plugin(&project, &service, &arguments);
    assert_eq!(disabled.code, Some(3), "{disabled:?}");
    assert!(
        disabled.err.contains("--enable-execute-command"),
        "{}",
        disabled.err
    );

    service
        .state
        .change(|state| state.tasks[0]["enableExecuteCommand"] = true.into());
    let shell = with_plugin(
        &project,
        &service,
        &["exec", "app", "--task", TASK, "--", "/bin/sh"],
    );
    assert!(shell.err.contains("have no shell"), "{}", shell.err);
}
