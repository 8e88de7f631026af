//! `up --skip` and `up --stub`: removes containers, or replaces them with stubs.

use std::collections::BTreeMap;

use assembly::component::{Local, LocalFallback};
use task_definition::{Condition, ContainerDefinition, TaskDefinition};
use task_runner::stub::StubKind;

use super::target::Target;
use crate::Error;
use crate::Messages;
use crate::Options;

/// An argument of `--stub`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    pub(super) container: String,
    kind: StubKind,
    ports: Vec<u16>,
}

/// Parses `CONTAINER[=KIND[:PORT,…]]`.
pub fn parse_stub(text: &str) -> Result<Stub, String> {
    let (container, rest) = text.split_once('=').unwrap_or((text, "sleep"));
    let (kind, ports) = rest.split_once(':').unwrap_or((rest, ""));
    let kinds = || StubKind::ALL.map(|(name, _)| name).join(", ");
    let kind = StubKind::from_name(kind)
        .ok_or_else(|| format!("unknown kind `{kind}`; expected one of {}", kinds()))?;
    let ports = ports
        .split(',')
        .filter(|port| !port.is_empty())
        .map(|port| match port.parse() {
            Ok(port @ 1..) => Ok(port),
            _ => Err(format!("`{port}` is not a port")),
        });

    Ok(Stub {
        container: container.to_owned(),
        kind,
        ports: ports.collect::<Result<_, String>>()?,
    })
}

/// The kind and the ports of each stub, by container.
pub(super) type Stubs = BTreeMap<String, (StubKind, Vec<u16>)>;

/// Removes the skipped containers and clears the stubbed ones. Returns the stubs. A container with `--program`
/// or `--image` runs normally.
pub(super) fn apply(
    definition: &mut TaskDefinition,
    target: &Target,
    options: &Options,
    ui: &dyn Messages,
) -> Result<Stubs, Error> {
    let mut stubs = Stubs::new();
    for (name, action) in replacements(definition, target, options) {
        match action {
            LocalFallback::Skip => {
                ui.message(&format_replacement(
                    &name,
                    "skipped; its dependants are treated as satisfied",
                ));
                skip(definition, &name);
            }
            LocalFallback::Stub => {
                let requested = options
                    .stub
                    .iter()
                    .rev()
                    .find(|stub| stub.container == name);
                let (kind, ports) = replace_with_stub(definition, &name, requested)?;

                ui.message(&format_replacement(&name, &describe_stub(kind, &ports)));
                stubs.insert(name, (kind, ports));
            }
        }
    }

    Ok(stubs)
}

/// Returns the containers to replace, and how.
fn replacements(
    definition: &TaskDefinition,
    target: &Target,
    options: &Options,
) -> Vec<(String, LocalFallback)> {
    let has_program = |name: &str| {
        options
            .program
            .iter()
            .any(|(container, _)| container == name)
            || options.image.iter().any(|choice| choice.container == name)
    };
    let requested = |name: &String| {
        let skipped = options.skip.contains(name).then_some(LocalFallback::Skip);
        let stubbed = options.stub.iter().any(|stub| stub.container == *name);
        skipped.or_else(|| stubbed.then_some(LocalFallback::Stub))
    };

    // A component without a local program says itself what replaces it.
    let fallback =
        |container: &ContainerDefinition| match target.components.get(&container.name)?.local {
            Some(Local::Fallback(action)) if !has_program(&container.name) => {
                Some((container.name.clone(), action))
            }
            _ => None,
        };
    definition
        .container_definitions
        .iter()
        .filter_map(|container| match requested(&container.name) {
            Some(action) => Some((container.name.clone(), action)),
            None => fallback(container),
        })
        .collect()
}

/// Checks that every container named on the command line exists, and that an essential one is left.
pub(super) fn check_names(options: &Options, definition: &TaskDefinition) -> Result<(), Error> {
    let containers = &definition.container_definitions;
    let names: Vec<&str> = containers
        .iter()
        .map(|container| container.name.as_str())
        .collect();
    let with_option = |option: &'static str, all: &[String]| {
        let all = all.iter().map(move |name| (option, name.clone()));
        all.collect::<Vec<_>>()
    };
    let programs: Vec<String> = options
        .program
        .iter()
        .map(|(name, _)| name.clone())
        .collect();

    let stubs: Vec<String> = (options.stub.iter())
        .map(|stub| stub.container.clone())
        .collect();
    let images: Vec<String> = (options.image.iter())
        .map(|choice| choice.container.clone())
        .collect();
    let exit_code_from: Vec<String> = options.exit_code_from.iter().cloned().collect();
    let mentioned = [
        with_option("--skip", &options.skip),
        with_option("--stub", &stubs),
        with_option("--program", &programs),
        with_option("--image", &images),
        with_option("--exit-code-from", &exit_code_from),
    ];

    let unknown: Vec<String> = mentioned
        .concat()
        .into_iter()
        .filter(|(_, name)| !names.contains(&name.as_str()))
        .map(|(option, name)| {
            let names = names.join(", ");
            format!("`{option} {name}`: there is no container `{name}`; choose one of: {names}")
        })
        .collect();

    if !unknown.is_empty() {
        return Err(Error::Usage(unknown.join("\n  ")));
    }

    // ECS requires an essential container, and the task would end at once without one.
    let is_left = |container: &ContainerDefinition| {
        container.is_essential() && !options.skip.contains(&container.name)
    };
    if containers.iter().any(is_left) {
        return Ok(());
    }

    Err(Error::Usage(
        "`--skip` leaves no essential container; replace one with `--stub` instead".to_owned(),
    ))
}

fn describe_stub(kind: StubKind, ports: &[u16]) -> String {
    let ports = task_runner::stub::ports(&kind.arguments(ports));
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let ports = ports.join(", ");
    match kind {
        StubKind::Sleep => "replaced with a stub (sleep); it does not answer".to_owned(),
        kind => format!("replaced with a stub ({}) on {ports}", kind.as_str()),
    }
}

fn format_replacement(name: &str, what: &str) -> String {
    format!("{name}: {what} (use --program {name}=FILE to run a program)")
}

/// Removes a container, and all dependencies on it and its volumes.
fn skip(definition: &mut TaskDefinition, name: &str) {
    let containers = &mut definition.container_definitions;
    containers.retain(|container| container.name != name);
    for container in containers {
        container
            .depends_on
            .retain(|edge| edge.container_name != name);
        container
            .volumes_from
            .retain(|from| from.source_container != name);
    }
}

/// Clears a container so that a stub can run in it: it needs no secrets and has no health check. Returns the
/// stub's kind and ports.
fn replace_with_stub(
    definition: &mut TaskDefinition,
    name: &str,
    requested: Option<&Stub>,
) -> Result<(StubKind, Vec<u16>), Error> {
    let kind = requested.map_or(StubKind::Sleep, |stub| stub.kind);
    let mut ports = requested.map(|stub| stub.ports.clone()).unwrap_or_default();
    let mapped = definition
        .container(name)
        .into_iter()
        .flat_map(|container| &container.port_mappings);

    if ports.is_empty() && kind != StubKind::Sleep {
        ports.extend(mapped.filter_map(|mapping| u16::try_from(mapping.container_port?).ok()));
    }
    // A collector's port is rarely mapped, since only the task's own containers use it.
    if ports.is_empty() && kind == StubKind::OtlpSink {
        ports.push(OTLP);
    }

    if ports.is_empty() && kind != StubKind::Sleep {
        let kind = kind.as_str();
        return Err(Error::Usage(format!(
            "`--stub {name}={kind}`: the container has no port mapping; pass a port: `--stub {name}={kind}:8080`"
        )));
    }

    for container in &mut definition.container_definitions {
        if container.name == name {
            // None of these applies to the stub, and a missing secret must not stop it.
            container.entry_point.clear();
            container.command.clear();
            container.environment.clear();
            container.secrets.clear();
            container.health_check = None;
            container.user = None;

            // As PID 1 without an init the stub would ignore SIGTERM until it has installed a handler.
            let linux = container.linux_parameters.get_or_insert_default();
            linux.init_process_enabled = Some(true);
            container.memory = None;
        }

        let edges = container.depends_on.iter_mut();
        for edge in edges.filter(|edge| edge.container_name == name) {
            // Without a health check HEALTHY would never be reached.
            if edge.condition == Condition::Healthy {
                edge.condition = Condition::Start;
            }
        }
    }

    Ok((kind, ports))
}

/// The default port of OTLP over HTTP.
const OTLP: u16 = 4318;

#[cfg(test)]
mod tests {
    use super::*;
    use diagnostics::source::Source;
    use task_definition::read;

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
    fn removes_dependencies_on_a_skipped_container() {
        let mut definition = definition();
        skip(&mut definition, "agent");
        assert_eq!(definition.container_definitions.len(), 1);
        assert_eq!(definition.container_definitions[0].depends_on, []);
    }

    #[test]
    fn a_stub_needs_no_secrets_and_has_no_health_check() {
        let mut definition = definition();
        let stub = replace_with_stub(&mut definition, "agent", None).unwrap();
        assert_eq!(stub, (StubKind::Sleep, Vec::new()));
        let agent = definition.container("agent").unwrap();
        assert_eq!((agent.secrets.len(), agent.command.len()), (0, 0));
        assert_eq!(agent.health_check, None);
        // HEALTHY became START: the stub has no health check.
        let app = definition.container("app").unwrap();
        assert_eq!(app.depends_on[0].condition, Condition::Start);
    }

    #[test]
    fn parses_the_kind_and_ports_of_a_stub() {
        let mut definition = definition();
        let mut replace = |text: &str| {
            let requested = parse_stub(text).unwrap();
            replace_with_stub(&mut definition, "agent", Some(&requested))
        };

        assert_eq!(
            replace("agent=echo:7,8").unwrap(),
            (StubKind::Echo, vec![7, 8])
        );
        // 4318 is the default port of OTLP over HTTP.
        assert_eq!(
            replace("agent=otlp-sink").unwrap(),
            (StubKind::OtlpSink, vec![4318])
        );

        let message = replace("agent=http-200").unwrap_err().to_string();
        assert!(message.contains("--stub agent=http-200:8080"), "{message}");
        assert!(
            parse_stub("agent=nothing")
                .unwrap_err()
                .contains("blackhole")
        );
        assert!(parse_stub("agent=echo:x").is_err());
    }
}
