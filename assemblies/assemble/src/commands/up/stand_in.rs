//! Containers whose program is not on this machine: left out, or something simple in their place.

use std::collections::BTreeMap;

use assembly::component::{Local, StandIn};
use task_definition::{Condition, ContainerDefinition, TaskDefinition};
use task_runner::stub::Kind;

use super::Arguments;
use super::target::Target;
use crate::failure::Failure;
use crate::talk::Talk;

/// Who stands in a container's place, as the command line says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stub {
    container: String,
    kind: Kind,
    ports: Vec<u16>,
}

/// Reads `CONTAINER[=KIND[:PORT,…]]`.
pub(super) fn stub(text: &str) -> Result<Stub, String> {
    let (container, rest) = text.split_once('=').unwrap_or((text, "sleep"));
    let (kind, ports) = rest.split_once(':').unwrap_or((rest, ""));
    let kinds = || Kind::ALL.map(|(name, _)| name).join(", ");
    let kind = Kind::of(kind).ok_or_else(|| format!("`{kind}` is none of {}", kinds()))?;
    let ports = ports.split(',').filter(|port| !port.is_empty());
    let ports = ports.map(|port| match port.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(format!("`{port}` is no port")),
    });

    Ok(Stub {
        container: container.to_owned(),
        kind,
        ports: ports.collect::<Result<_, String>>()?,
    })
}

/// What runs in a container's place, and where it listens.
pub(super) type Stubs = BTreeMap<String, (Kind, Vec<u16>)>;

/// Takes out what is skipped and empties what is stubbed; answers who is stubbed. A program that the
/// command line names for a container runs as in any other case.
pub(super) fn apply(
    definition: &mut TaskDefinition,
    target: &Target,
    arguments: &Arguments,
    talk: &Talk,
) -> Result<Stubs, Failure> {
    let named = |name: &str| {
        arguments.program.iter().any(|(one, _)| one == name)
            || arguments.image.iter().any(|one| one.container == name)
    };
    let asked = |name: &String| {
        let skipped = arguments.skip.contains(name).then_some(StandIn::Skip);
        let stubbed = arguments.stub.iter().any(|one| one.container == *name);
        skipped.or_else(|| stubbed.then_some(StandIn::Stub))
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

    let mut stubs = Stubs::new();
    for (name, word) in stand_ins {
        match word {
            StandIn::Skip => {
                talk.say(&told(&name, "left out here; who waits for it does not"));
                skip(definition, &name);
            }
            StandIn::Stub => {
                let asked = arguments
                    .stub
                    .iter()
                    .rev()
                    .find(|one| one.container == name);
                let (kind, ports) = empty(definition, &name, asked)?;

                talk.say(&told(&name, &words(kind, &ports)));
                stubs.insert(name, (kind, ports));
            }
        }
    }

    Ok(stubs)
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

    let stubs: Vec<String> = (arguments.stub.iter())
        .map(|one| one.container.clone())
        .collect();
    let images: Vec<String> = (arguments.image.iter())
        .map(|one| one.container.clone())
        .collect();
    let from: Vec<String> = arguments.exit_code_from.iter().cloned().collect();
    let said = [
        named("--skip", &arguments.skip),
        named("--stub", &stubs),
        named("--program", &programs),
        named("--image", &images),
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

fn words(kind: Kind, ports: &[u16]) -> String {
    let ports = task_runner::stub::ports(&kind.arguments(ports));
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let ports = ports.join(", ");
    match kind {
        Kind::Sleep => "only sleeps here; what is sent to it goes nowhere".to_owned(),
        kind => format!("is a stub here: {} on {ports}", kind.name()),
    }
}

fn told(name: &str, what: &str) -> String {
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

/// What stands for a container needs nothing, and is never asked whether it is well. Answers what it is and
/// where it listens.
fn empty(
    definition: &mut TaskDefinition,
    name: &str,
    asked: Option<&Stub>,
) -> Result<(Kind, Vec<u16>), Failure> {
    let kind = asked.map_or(Kind::Sleep, |one| one.kind);
    let mut ports = asked.map(|one| one.ports.clone()).unwrap_or_default();
    let mapped = definition.container(name).into_iter();
    let mapped = mapped.flat_map(|one| &one.port_mappings);

    if ports.is_empty() && kind != Kind::Sleep {
        ports.extend(mapped.filter_map(|one| u16::try_from(one.container_port?).ok()));
    }
    if ports.is_empty() && kind == Kind::OtlpSink {
        ports.push(OTLP);
    }

    if ports.is_empty() && kind != Kind::Sleep {
        let kind = kind.name();
        return Err(Failure::Usage(format!(
            "`--stub {name}={kind}`: its definition maps no port; name one: `--stub {name}={kind}:8080`"
        )));
    }

    for one in &mut definition.container_definitions {
        if one.name == name {
            one.entry_point.clear();
            one.command.clear();
            one.environment.clear();
            one.secrets.clear();
            one.health_check = None;
            one.user = None;

            // It hears that it is to stop from its first moment.
            let linux = one.linux_parameters.get_or_insert_default();
            linux.init_process_enabled = Some(true);
            one.memory = None;
        }

        let edges = one.depends_on.iter_mut();
        for edge in edges.filter(|edge| edge.container_name == name) {
            if edge.condition == Condition::Healthy {
                edge.condition = Condition::Start;
            }
        }
    }

    Ok((kind, ports))
}

/// Where OTLP over HTTP is expected.
const OTLP: u16 = 4318;

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
        let done = empty(&mut definition, "agent", None).unwrap();
        assert_eq!(done, (Kind::Sleep, Vec::new()));
        let agent = definition.container("agent").unwrap();
        assert_eq!((agent.secrets.len(), agent.command.len()), (0, 0));
        assert_eq!(agent.health_check, None);
        let app = definition.container("app").unwrap();
        assert_eq!(app.depends_on[0].condition, Condition::Start);
    }

    #[test]
    fn a_stub_has_a_kind_and_ports() {
        let mut definition = definition();
        let mut done = |text: &str| {
            let asked = stub(text).unwrap();
            empty(&mut definition, "agent", Some(&asked))
        };

        assert_eq!(done("agent=echo:7,8").unwrap(), (Kind::Echo, vec![7, 8]));
        assert_eq!(
            done("agent=otlp-sink").unwrap(),
            (Kind::OtlpSink, vec![4318])
        );

        let words = done("agent=http-200").unwrap_err().to_string();
        assert!(words.contains("--stub agent=http-200:8080"), "{words}");
        assert!(stub("agent=nothing").unwrap_err().contains("blackhole"));
        assert!(stub("agent=echo:x").is_err());
    }
}
