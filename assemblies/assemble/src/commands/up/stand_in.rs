//! Containers whose program is not on this machine: left out, or something that sleeps in their place.

use std::collections::BTreeSet;

use assembly::component::{Local, StandIn};
use task_definition::{Condition, ContainerDefinition, LinuxParameters, TaskDefinition};

use super::Arguments;
use super::target::Target;
use crate::failure::Failure;
use crate::talk::Talk;

/// Takes out what is skipped and empties what is stubbed; answers who is stubbed. A program that the
/// command line names for a container runs as in any other case.
pub(super) fn apply(
    definition: &mut TaskDefinition,
    target: &Target,
    arguments: &Arguments,
    talk: &Talk,
) -> BTreeSet<String> {
    let named = |name: &str| arguments.program.iter().any(|(one, _)| one == name);
    let asked = |name: &String| {
        let skipped = arguments.skip.contains(name).then_some(StandIn::Skip);
        skipped.or_else(|| arguments.stub.contains(name).then_some(StandIn::Stub))
    };
    let of = |one: &ContainerDefinition| match target.components.get(&one.name)?.local {
        Some(Local::StandIn(word)) if !named(&one.name) => Some((one.name.clone(), word)),
        _ => None,
    };
    let stand_ins: Vec<_> = definition
        .container_definitions
        .iter()
        .filter_map(|one| match asked(&one.name) {
            Some(word) => Some((one.name.clone(), word)),
            None => of(one),
        })
        .collect();
    let mut stubs = BTreeSet::new();
    for (name, word) in stand_ins {
        talk.say(&told(&name, word));
        match word {
            StandIn::Skip => skip(definition, &name),
            StandIn::Stub => {
                stub(definition, &name);
                stubs.insert(name);
            }
        }
    }
    stubs
}

/// Whoever the command line speaks of must be in the task, and not all may be left out.
pub(super) fn are_there(arguments: &Arguments, definition: &TaskDefinition) -> Result<(), Failure> {
    let containers = &definition.container_definitions;
    let names: Vec<&str> = containers.iter().map(|one| one.name.as_str()).collect();
    let named = |option: &'static str, all: &[String]| {
        let all = all.iter().map(move |name| (option, name.clone()));
        all.collect::<Vec<_>>()
    };
    let programs: Vec<String> = arguments
        .program
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    let from: Vec<String> = arguments.exit_code_from.iter().cloned().collect();
    let said = [
        named("--skip", &arguments.skip),
        named("--stub", &arguments.stub),
        named("--program", &programs),
        named("--exit-code-from", &from),
    ];
    let strangers = said.concat().into_iter();
    let strangers = strangers.filter(|(_, name)| !names.contains(&name.as_str()));
    let strangers: Vec<String> = strangers
        .map(|(option, name)| {
            let names = names.join(", ");
            format!("`{option} {name}`: there is no container `{name}`; choose one of: {names}")
        })
        .collect();
    if !strangers.is_empty() {
        return Err(Failure::Usage(strangers.join("\n  ")));
    }
    let is_left =
        |one: &&ContainerDefinition| one.is_essential() && !arguments.skip.contains(&one.name);
    if containers.iter().any(|one| is_left(&one)) {
        return Ok(());
    }
    Err(Failure::Usage(
        "`--skip` leaves nothing essential to run; `--stub` lets something stand in a container's place".to_owned(),
    ))
}

fn told(name: &str, word: StandIn) -> String {
    let what = match word {
        StandIn::Skip => "left out here; who waits for it does not",
        StandIn::Stub => "only sleeps here; what is sent to it goes nowhere",
    };
    format!("{name}: {what} (--program {name}=FILE runs a program in its place)")
}

/// Without the container, nobody depends on it, and nobody takes its volumes.
fn skip(definition: &mut TaskDefinition, name: &str) {
    let containers = &mut definition.container_definitions;
    containers.retain(|one| one.name != name);
    for one in containers {
        one.depends_on.retain(|edge| edge.container_name != name);
        one.volumes_from
            .retain(|from| from.source_container != name);
    }
}

/// What only sleeps needs nothing, and is never asked whether it is well.
fn stub(definition: &mut TaskDefinition, name: &str) {
    for one in &mut definition.container_definitions {
        if one.name == name {
            one.entry_point.clear();
            one.command.clear();
            one.environment.clear();
            one.secrets.clear();
            one.health_check = None;
            one.user = None;
            // `sleep` has no handler for SIGTERM: as PID 1 it would sleep on.
            one.linux_parameters = Some(LinuxParameters {
                init_process_enabled: Some(true),
                ..LinuxParameters::default()
            });
        }
        let edges = one.depends_on.iter_mut();
        for edge in edges.filter(|edge| edge.container_name == name) {
            if edge.condition == Condition::Healthy {
                edge.condition = Condition::Start;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use task_definition::{read, source::Source};

    fn definition() -> TaskDefinition {
        let text = r#"{ "family": "shop", "containerDefinitions": [
            { "name": "app", "image": "app:1", "dependsOn": [
                { "containerName": "agent", "condition": "HEALTHY" } ] },
            { "name": "agent", "image": "agent:1", "command": ["run"],
              "secrets": [{ "name": "KEY", "valueFrom": "key" }],
              "healthCheck": { "command": ["CMD", "/agent", "health"] } } ] }"#;
        read(&Source::new("task.json", text)).unwrap().definition
    }

    #[test]
    fn nobody_waits_for_who_is_left_out() {
        let mut definition = definition();
        skip(&mut definition, "agent");
        assert_eq!(definition.container_definitions.len(), 1);
        assert_eq!(definition.container_definitions[0].depends_on, []);
    }

    #[test]
    fn who_only_sleeps_needs_no_secret_and_is_not_asked() {
        let mut definition = definition();
        stub(&mut definition, "agent");
        let agent = definition.container("agent").unwrap();
        assert_eq!((agent.secrets.len(), agent.command.len()), (0, 0));
        assert_eq!(agent.health_check, None);
        let app = definition.container("app").unwrap();
        assert_eq!(app.depends_on[0].condition, Condition::Start);
    }
}
