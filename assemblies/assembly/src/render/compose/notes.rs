//! The head of `compose.yaml`: how to use it, and what compose does otherwise than ECS.

use std::fmt::Write as _;

use task_definition::{Condition, ContainerDefinition, TaskDefinition};

use super::service::CPUS;
use crate::plan::Plan;

/// All of it as comments.
pub(super) fn notes(plan: &Plan, holder: &str) -> String {
    let mut text = String::new();
    paragraph(&mut text, "", &headline(plan));
    paragraph(&mut text, "", "Made by `assemble render`; do not edit.");
    text.push_str("#\n");
    for line in usage(plan) {
        let _ = writeln!(text, "#   {line}");
    }

    text.push_str("#\n");
    let shared = format!(
        "The containers share one network, as in a task: the service `{holder}` holds it and publishes \
         the ports, to this machine only (take `127.0.0.1:` away to open them to others). On ECS other \
         things are otherwise:"
    );

    paragraph(&mut text, "", &shared);
    for difference in differences(plan) {
        paragraph(&mut text, "- ", &difference);
    }

    text
}

fn headline(plan: &Plan) -> String {
    match plan.summary() {
        "" => plan.name().to_owned(),
        summary => format!("{}: {summary}", plan.name()),
    }
}

/// The commands to paste.
fn usage(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let mut secrets = plan.definition().container_definitions.iter();
    if secrets.any(|one| !one.secrets.is_empty()) {
        lines.push("cp .env.example .env    # and fill it in".to_owned());
    }

    match (plan.on_demand(), plan.app()) {
        (Some(_), Some(app)) => {
            lines.push("# What the event would say is given with -e NAME=VALUE:".to_owned());
            lines.push(format!("docker compose run --rm {}", app.name()));
        }
        _ => lines.push("docker compose up --abort-on-container-failure".to_owned()),
    }

    lines.push("docker compose down --volumes".to_owned());
    lines
}

/// Only what concerns this task.
fn differences(plan: &Plan) -> Vec<String> {
    let task = plan.definition();
    let mut all = vec![
        essential(task),
        "Stop order: compose, too, stops a container only after those that depend on it, each within its \
         stop_grace_period, but only when it is compose that stops them; whoever ends the Docker daemon, or \
         stops a container by hand, ends them in any order."
            .to_owned(),
    ];

    let any =
        |what: &dyn Fn(&ContainerDefinition) -> bool| task.container_definitions.iter().any(what);
    if any(&|one| {
        one.depends_on
            .iter()
            .any(|edge| edge.condition == Condition::Complete)
    }) {
        all.push(
            "COMPLETE: compose waits for the end and goes on whatever the exit code, with a warning."
                .to_owned(),
        );
    }

    all.extend(timeouts(task));
    if any(&|one| one.health_check.is_some()) {
        all.push(
            "Health: ECS replaces a task whose essential container is unhealthy; compose shows it in \
             `docker compose ps` and goes on."
                .to_owned(),
        );
    }

    if any(&|one| {
        one.restart_policy
            .as_ref()
            .is_some_and(|policy| policy.enabled)
    }) {
        all.push(
            "Restarts: compose starts a container again after a pause that grows, and knows no \
             restartAttemptPeriod and no ignoredExitCodes but 0."
                .to_owned(),
        );
    }

    all.push(format!(
        "Size: a container has its share of the CPU and its memory, but nothing holds their sum to the \
         task's {}. A machine with fewer cores says so in {CPUS}.",
        plan.size()
    ));

    if task.task_role_arn.is_some() {
        all.push(
            "Rights: there is no task role; the containers get AWS_ACCESS_KEY_ID and its companions from \
             the shell, if they are set there."
                .to_owned(),
        );
    }

    let mut routers = task
        .container_definitions
        .iter()
        .filter(|one| one.firelens_configuration.is_some());

    if let Some(router) = routers.next() {
        all.push(format!(
            "Log router: FireLens belongs to ECS; here `{}` runs, and nobody sends it logs.",
            router.name
        ));
    }

    if any(&|one| !one.environment_files.is_empty()) {
        all.push(
            "Files of variables: copy them from S3 to here, under their own names.".to_owned(),
        );
    }

    all.push(
        "Logs: they go to Docker (`docker compose logs`); there is no metadata endpoint."
            .to_owned(),
    );

    all
}

fn essential(task: &TaskDefinition) -> String {
    let essential = task
        .container_definitions
        .iter()
        .filter(|one| one.is_essential());
    let names: Vec<&str> = essential.map(|one| one.name.as_str()).collect();
    format!(
        "Essential: the task ends when one of these ends, with whatever exit code: {}. Compose with \
         --abort-on-container-failure ends when any service fails, and lets the others go on when one ends \
         with 0.",
        names.join(", ")
    )
}

fn timeouts(task: &TaskDefinition) -> Option<String> {
    let limited = task.container_definitions.iter().filter_map(|one| {
        let timeout = one.start_timeout?;
        Some(format!("{} {timeout} s", one.name))
    });
    let limited: Vec<String> = limited.collect();

    (!limited.is_empty()).then(|| {
        format!(
            "startTimeout ({}): compose waits for as long as the health check takes to decide; \
             `docker compose up --wait --wait-timeout SECONDS` bounds the whole.",
            limited.join(", ")
        )
    })
}

/// A paragraph as comments, broken between words.
fn paragraph(text: &mut String, bullet: &str, words: &str) {
    let mut line = format!("# {bullet}");
    let mut is_empty = true;
    for word in words.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = format!("# {:1$}", "", bullet.len());
            is_empty = true;
        }

        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }

    let _ = writeln!(text, "{line}");
}

const WIDTH: usize = 110;
