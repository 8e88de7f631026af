//! Adds the derived containers to the existing definition.

use task_definition::{
    ContainerDefinition, TaskDefinition,
    fargate_sizes::{parse_cpu, parse_memory, smallest},
};

use super::labels::{self, RecordedRequest, SizeIncrease, Undo, Variable};
use super::synthetic::{SyntheticAssembly, is_proxy};
use super::{InjectError, Injection};
use crate::component::Catalog;
use crate::import::roles;
use crate::plan::iam::Statement;

/// Adds the containers of all requests to the definition.
pub(super) fn join(
    base: &TaskDefinition,
    catalog: &Catalog,
    requests: &[RecordedRequest],
    assembly: &SyntheticAssembly,
) -> Result<Injection, InjectError> {
    let mut joiner = Joiner {
        definition: base.clone(),
        undo: Undo {
            app: assembly.app.clone(),
            ..Undo::default()
        },
        notes: Vec::new(),
    };

    let is_injected = |name: &str| requests.iter().any(|request| request.component == name);
    let mut injected = derived_containers(requests, assembly)?;

    joiner.update_existing_containers(assembly, is_injected);
    if requests.iter().any(|request| is_proxy(catalog, request)) {
        joiner.move_port(assembly, &mut injected);
        joiner.bind_app_to_loopback(assembly, catalog);
    }

    joiner.copy_log_configuration(&assembly.app, &mut injected);
    joiner.add_volumes(assembly, &injected);
    for (container, request) in injected.iter_mut().zip(requests) {
        labels::write_request(container, request);
    }

    joiner.grow_task(&injected);
    if let Some(first) = injected.first_mut() {
        labels::write_undo(first, &joiner.undo);
    }

    let [execution_role, task_role] = assembly
        .roles
        .clone()
        .map(|statements| injected_statements(statements, &is_injected));
    joiner.add_role_notes(&execution_role, &task_role);
    joiner.definition.container_definitions.extend(injected);
    Ok(Injection {
        definition: joiner.definition,
        notes: joiner.notes,
        execution_role,
        task_role,
    })
}

/// Returns the derived container of each request.
fn derived_containers(
    requests: &[RecordedRequest],
    assembly: &SyntheticAssembly,
) -> Result<Vec<ContainerDefinition>, InjectError> {
    let containers = requests.iter().map(|request| {
        let derived = assembly.derived.container(&request.component).cloned();
        derived
            .ok_or_else(|| InjectError::Invalid(format!("`{}` was not derived", request.component)))
    });
    containers.collect()
}

/// Returns the statements that the injected containers need.
fn injected_statements(all: Vec<Statement>, is_injected: &impl Fn(&str) -> bool) -> Vec<Statement> {
    // Pulling images is one statement for the task; its repositories are only those of injected images.
    let pulls = |statement: &Statement| {
        statement
            .actions
            .iter()
            .any(|action| action.starts_with("ecr:"))
    };
    all.into_iter()
        .filter(|statement| is_injected(&statement.component) || pulls(statement))
        .collect()
}

struct Joiner {
    definition: TaskDefinition,
    undo: Undo,
    notes: Vec<String>,
}

impl Joiner {
    fn container(&mut self, name: &str) -> Option<&mut ContainerDefinition> {
        self.definition
            .container_definitions
            .iter_mut()
            .find(|container| container.name == name)
    }

    /// Adds the variables and dependencies that refer to injected containers.
    fn update_existing_containers(
        &mut self,
        assembly: &SyntheticAssembly,
        is_injected: impl Fn(&str) -> bool,
    ) {
        for derived in assembly
            .derived
            .container_definitions
            .iter()
            .filter(|container| !is_injected(&container.name))
        {
            for variable in &derived.environment {
                self.add_variable(&derived.name, &variable.name, &variable.value);
            }

            let edges = derived
                .depends_on
                .iter()
                .filter(|edge| is_injected(&edge.container_name));
            let edges: Vec<_> = edges.cloned().collect();

            if let Some(container) = self.container(&derived.name) {
                container.depends_on.extend(edges);
            }
        }
    }

    /// Adds a variable, unless the container sets it already.
    fn add_variable(&mut self, container_name: &str, name: &str, value: &str) {
        let Some(container) = self.container(container_name) else {
            return;
        };
        if container.secrets.iter().any(|secret| secret.name == name) {
            return;
        }

        match container.variable(name).map(str::to_owned) {
            None => {
                labels::set(container, name, Some(value));
                self.undo.variables.push(Variable {
                    container: container_name.to_owned(),
                    name: name.to_owned(),
                    before: None,
                    after: value.to_owned(),
                });
            }
            Some(own) if own != value && name == ENDPOINT => self.notes.push(format!(
                "`{container_name}` already sends telemetry to {own}; remove `{ENDPOINT}` to send it to {value}"
            )),
            Some(_) => {}
        }
    }

    /// Moves the port mapping from the app to the outermost hop; it keeps its name.
    fn move_port(&mut self, assembly: &SyntheticAssembly, injected: &mut [ContainerDefinition]) {
        let Some(port) = assembly.port else { return };
        let Some(app) = self.container(&assembly.app) else {
            return;
        };
        let (moved, kept): (Vec<_>, Vec<_>) = app.port_mappings.drain(..).partition(|mapping| {
            mapping.container_port == Some(port) && mapping.protocol.as_deref() != Some("udp")
        });

        // All containers share one network namespace, so the app needs no mapping behind the proxy.
        app.port_mappings = kept;
        let Some(outer) = injected
            .iter_mut()
            .find(|container| !container.port_mappings.is_empty())
        else {
            return;
        };
        let mapping = &mut outer.port_mappings[0];

        // Service Connect refers to a port by its name.
        if let Some(name) = moved.iter().find_map(|mapping| mapping.name.clone()) {
            mapping.name = Some(name);
        }

        let new = mapping.container_port.unwrap_or_default();
        let (name, app) = (outer.name.clone(), &assembly.app);
        self.notes.push(format!(
            "clients now connect to `{name}` on port {new}, not to `{app}` on port {port}: point the service's \
             load balancer there, and open only that port in the security group"
        ));
        // Removing the proxy moves the mapping back.
        self.undo.ports = moved;
    }

    /// Makes the app listen on loopback only: clients that reach its port would bypass the hops.
    fn bind_app_to_loopback(&mut self, assembly: &SyntheticAssembly, catalog: &Catalog) {
        let Some(port) = assembly.port else { return };
        let Some(app) = self.definition.container(&assembly.app).cloned() else {
            return;
        };
        let mut changes = bindings(&app, port);

        if let Some(component) = roles::find_component(&app, catalog) {
            let provides = component.file().provides.values();
            let settable = provides.filter(|provided| !provided.setting.is_empty());
            changes.extend(settable.take(1).map(|provided| {
                (
                    component.variable(&provided.setting),
                    format!("127.0.0.1:{port}"),
                )
            }));
        }

        changes.sort();
        changes.dedup();
        for (name, after) in &changes {
            let Some(container) = self.container(&assembly.app) else {
                return;
            };
            let before = labels::set(container, name, Some(after));

            if before.as_ref() != Some(after) {
                self.undo.variables.push(Variable {
                    container: assembly.app.clone(),
                    name: name.clone(),
                    before,
                    after: after.clone(),
                });
            }
        }

        // Nothing in the definition says how to change the listen address.
        if changes.is_empty() {
            self.notes.push(format!(
                "`{}` may still listen on every address of the task: make it listen on 127.0.0.1:{port}, or clients that \
                 reach port {port} bypass the hops in front of it (on Fargate, portMappings does not close ports)",
                assembly.app
            ));
        }
    }

    /// Copies the log configuration of the app; without one, the injected containers have none either.
    fn copy_log_configuration(&mut self, app: &str, injected: &mut [ContainerDefinition]) {
        let log = self
            .definition
            .container(app)
            .and_then(|container| container.log_configuration.clone());

        if log.is_none() {
            let note = format!(
                "`{app}` has no log configuration, so the injected containers have none either"
            );
            self.notes.push(note);
        }

        let mut containers = self.definition.container_definitions.iter();
        let router = containers
            .find(|container| container.firelens_configuration.is_some())
            .map(|container| container.name.clone());
        let is_routed = log
            .as_ref()
            .is_some_and(|log| log.log_driver == "awsfirelens");

        for container in injected {
            container.log_configuration.clone_from(&log);
            // A container that logs through the router must start after it.
            if let (true, Some(router)) = (is_routed, &router) {
                container.depends_on.push(task_definition::Dependency {
                    container_name: router.clone(),
                    condition: task_definition::Condition::Start,
                });
            }
        }
    }

    /// Adds the volumes that the injected containers mount.
    fn add_volumes(&mut self, assembly: &SyntheticAssembly, injected: &[ContainerDefinition]) {
        let mounts = injected
            .iter()
            .flat_map(|container| &container.mount_points);
        let is_mounted = |name: &str| mounts.clone().any(|mount| mount.source_volume == name);
        let volumes = assembly.derived.volumes.iter();
        let mounted = volumes.filter(|volume| is_mounted(&volume.name));
        self.definition.volumes.extend(mounted.cloned());
    }

    /// Increases the task size to the next Fargate size if the containers no longer fit.
    fn grow_task(&mut self, injected: &[ContainerDefinition]) {
        let all = || self.definition.container_definitions.iter().chain(injected);
        let cpu: u32 = all().filter_map(|container| container.cpu).sum();
        let memory: u32 = all()
            .filter_map(|container| container.memory_reservation.or(container.memory))
            .sum();
        let has = [
            self.definition.cpu.as_deref().and_then(parse_cpu),
            self.definition.memory.as_deref().and_then(parse_memory),
        ];
        let [Some(has_cpu), Some(has_memory)] = has else {
            return;
        };

        if cpu <= has_cpu && memory <= has_memory {
            return;
        }
        // The task never shrinks: its size may be larger than the sum on purpose.
        let Some(size) = smallest(cpu.max(has_cpu), memory.max(has_memory)) else {
            self.notes
                .push("no Fargate size is large enough for all containers".to_owned());
            return;
        };

        let before = [self.definition.cpu.clone(), self.definition.memory.clone()];
        let after = [Some(size.cpu.to_string()), Some(size.memory.to_string())];
        [self.definition.cpu, self.definition.memory] = after.clone();
        self.undo.size = Some(SizeIncrease { before, after });

        self.notes.push(format!(
            "the containers now request {cpu} CPU units and {memory} MiB, so the task size grows from {has_cpu} / \
             {has_memory} to {} / {}",
            size.cpu, size.memory
        ));
    }

    fn add_role_notes(&mut self, execution: &[Statement], task: &[Statement]) {
        let roles = [
            ("execution", execution, &self.definition.execution_role_arn),
            ("task", task, &self.definition.task_role_arn),
        ];

        for (which, statements, arn) in roles {
            if let (false, None) = (statements.is_empty(), arn) {
                self.notes.push(format!(
                    "the definition has no {which} role, but now needs one"
                ));
            }
            for statement in statements {
                let actions = statement.actions.join(", ");
                let resources = statement.resources.join(", ");
                self.notes.push(format!(
                    "the {which} role must be allowed {actions} on {resources}: {}",
                    statement.why
                ));
            }
        }
    }
}

/// The endpoint variable of the OpenTelemetry SDKs.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Returns the variables that make the app listen on every address, with the loopback address in its place.
fn bindings(app: &ContainerDefinition, port: u32) -> Vec<(String, String)> {
    let open = [
        format!("0.0.0.0:{port}"),
        format!("[::]:{port}"),
        format!("*:{port}"),
    ];
    let names_address = |name: &str| {
        let name = name.to_uppercase();
        ["HOST", "BIND", "LISTEN", "ADDR"]
            .iter()
            .any(|word| name.contains(word))
    };

    let bound = app.environment.iter().filter_map(|variable| {
        if open.contains(&variable.value) {
            return Some((variable.name.clone(), format!("127.0.0.1:{port}")));
        }
        // An address without a port may have other meanings, so the name must confirm it.
        let is_wildcard = matches!(variable.value.as_str(), "0.0.0.0" | "::" | "[::]");
        (is_wildcard && names_address(&variable.name))
            .then(|| (variable.name.clone(), "127.0.0.1".to_owned()))
    });

    bound.collect()
}
