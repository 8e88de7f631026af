//! The derived containers joiner to those that are there.

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

/// The definition with all that is asked for.
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

    let is_ours = |name: &str| requests.iter().any(|request| request.component == name);
    let containers = requests.iter().map(|request| {
        let derived = assembly.derived.container(&request.component).cloned();
        derived
            .ok_or_else(|| InjectError::Invalid(format!("`{}` was not derived", request.component)))
    });
    let mut ours = containers.collect::<Result<Vec<_>, _>>()?;

    joiner.tell_the_others(assembly, is_ours);
    if requests.iter().any(|request| is_proxy(catalog, request)) {
        joiner.move_the_port(assembly, &mut ours);
        joiner.keep_the_app_to_itself(assembly, catalog);
    }

    joiner.log_like_the_app(&assembly.app, &mut ours);
    let mounted = |name: &str| {
        ours.iter()
            .flat_map(|one| &one.mount_points)
            .any(|one| one.source_volume == name)
    };
    let volumes = assembly
        .derived
        .volumes
        .iter()
        .filter(|volume| mounted(&volume.name));

    joiner.definition.volumes.extend(volumes.cloned());
    for (container, request) in ours.iter_mut().zip(requests) {
        labels::write_request(container, request);
    }

    joiner.grow(&ours);
    if let Some(first) = ours.first_mut() {
        labels::write_undo(first, &joiner.undo);
    }

    let [execution_role, task_role] = assembly.roles.clone().map(|all| of_ours(all, &is_ours));
    joiner.say_what_roles_need(&execution_role, &task_role);
    joiner.definition.container_definitions.extend(ours);
    Ok(Injection {
        definition: joiner.definition,
        notes: joiner.notes,
        execution_role,
        task_role,
    })
}

fn of_ours(all: Vec<Statement>, is_ours: &impl Fn(&str) -> bool) -> Vec<Statement> {
    // Pulling is one statement for all; its repositories are only those of injected images.
    let pulls = |one: &Statement| one.actions.iter().any(|action| action.starts_with("ecr:"));
    all.into_iter()
        .filter(|one| is_ours(&one.component) || pulls(one))
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
            .find(|one| one.name == name)
    }

    /// Variables and dependencies that point at what is injected.
    fn tell_the_others(&mut self, assembly: &SyntheticAssembly, is_ours: impl Fn(&str) -> bool) {
        for derived in assembly
            .derived
            .container_definitions
            .iter()
            .filter(|one| !is_ours(&one.name))
        {
            for variable in &derived.environment {
                self.variable(&derived.name, &variable.name, &variable.value);
            }

            let edges = derived
                .depends_on
                .iter()
                .filter(|edge| is_ours(&edge.container_name));
            let edges: Vec<_> = edges.cloned().collect();

            if let Some(container) = self.container(&derived.name) {
                container.depends_on.extend(edges);
            }
        }
    }

    /// What the container says itself stays.
    fn variable(&mut self, container: &str, name: &str, value: &str) {
        let Some(one) = self.container(container) else {
            return;
        };
        if one.secrets.iter().any(|secret| secret.name == name) {
            return;
        }

        match one.variable(name).map(str::to_owned) {
            None => {
                labels::set(one, name, Some(value));
                self.undo.variables.push(Variable {
                    container: container.to_owned(),
                    name: name.to_owned(),
                    before: None,
                    after: value.to_owned(),
                });
            }
            Some(own) if own != value && name == ENDPOINT => self.notes.push(format!(
                "`{container}` sends telemetry to {own} already; take `{ENDPOINT}` away to have it sent to {value}"
            )),
            Some(_) => {}
        }
    }

    /// The task is now reached at the outermost hop; the port keeps its name.
    fn move_the_port(&mut self, assembly: &SyntheticAssembly, ours: &mut [ContainerDefinition]) {
        let Some(port) = assembly.port else { return };
        let Some(app) = self.container(&assembly.app) else {
            return;
        };
        let (moved, kept): (Vec<_>, Vec<_>) = app.port_mappings.drain(..).partition(|one| {
            one.container_port == Some(port) && one.protocol.as_deref() != Some("udp")
        });

        app.port_mappings = kept;
        let Some(outer) = ours.iter_mut().find(|one| !one.port_mappings.is_empty()) else {
            return;
        };
        let mapping = &mut outer.port_mappings[0];

        if let Some(name) = moved.iter().find_map(|one| one.name.clone()) {
            mapping.name = Some(name);
        }

        let new = mapping.container_port.unwrap_or_default();
        let (name, app) = (outer.name.clone(), &assembly.app);
        self.notes.push(format!(
            "the task is reached at `{name}`, port {new}, no longer at `{app}`, port {port}: point the service's \
             load balancer there, and open that port only in the security group"
        ));
        self.undo.ports = moved;
    }

    /// Whoever reaches the app's port walks around the hops.
    fn keep_the_app_to_itself(&mut self, assembly: &SyntheticAssembly, catalog: &Catalog) {
        let Some(port) = assembly.port else { return };
        let Some(app) = self.definition.container(&assembly.app).cloned() else {
            return;
        };
        let mut changes = bindings(&app, port);

        if let Some(component) = roles::find_component(&app, catalog) {
            let provides = component.file().provides.values();
            let listens = provides.filter(|one| !one.setting.is_empty());
            changes.extend(listens.take(1).map(|one| {
                (
                    component.variable(&one.setting),
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

        if changes.is_empty() {
            self.notes.push(format!(
                "`{}` may still listen on every address of the task: set it to 127.0.0.1:{port}, or whoever \
                 reaches port {port} walks around what stands in front of it (portMappings closes nothing on Fargate)",
                assembly.app
            ));
        }
    }

    /// The same group, region and driver; without a log of the app's there is none.
    fn log_like_the_app(&mut self, app: &str, ours: &mut [ContainerDefinition]) {
        let log = self
            .definition
            .container(app)
            .and_then(|one| one.log_configuration.clone());

        if log.is_none() {
            let note = format!("`{app}` keeps no log, so what is injected keeps none either");
            self.notes.push(note);
        }

        let router = self.definition.container_definitions.iter();
        let mut router = router.filter(|one| one.firelens_configuration.is_some());
        let router = router.next().map(|one| one.name.clone());
        let routed = log
            .as_ref()
            .is_some_and(|log| log.log_driver == "awsfirelens");

        for one in ours {
            one.log_configuration.clone_from(&log);
            if let (true, Some(router)) = (routed, &router) {
                one.depends_on.push(task_definition::Dependency {
                    container_name: router.clone(),
                    condition: task_definition::Condition::Start,
                });
            }
        }
    }

    /// The next size that Fargate sells, when the sums no longer fit.
    fn grow(&mut self, ours: &[ContainerDefinition]) {
        let all = || self.definition.container_definitions.iter().chain(ours);
        let cpu: u32 = all().filter_map(|one| one.cpu).sum();
        let memory: u32 = all()
            .filter_map(|one| one.memory_reservation.or(one.memory))
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
        let Some(size) = smallest(cpu.max(has_cpu), memory.max(has_memory)) else {
            self.notes
                .push("no Fargate size holds the sum of the containers".to_owned());
            return;
        };

        let before = [self.definition.cpu.clone(), self.definition.memory.clone()];
        let after = [Some(size.cpu.to_string()), Some(size.memory.to_string())];
        [self.definition.cpu, self.definition.memory] = after.clone();
        self.undo.size = Some(SizeIncrease { before, after });

        self.notes.push(format!(
            "the containers now request for {cpu} CPU units and {memory} MiB, so the task grows from {has_cpu} / \
             {has_memory} to {} / {}",
            size.cpu, size.memory
        ));
    }

    fn say_what_roles_need(&mut self, execution: &[Statement], task: &[Statement]) {
        let roles = [
            ("execution", execution, &self.definition.execution_role_arn),
            ("task", task, &self.definition.task_role_arn),
        ];

        for (which, statements, arn) in roles {
            if let (false, None) = (statements.is_empty(), arn) {
                self.notes.push(format!(
                    "the definition has no {which} role, and now needs one"
                ));
            }
            for one in statements {
                let (actions, resources) = (one.actions.join(", "), one.resources.join(", "));
                self.notes.push(format!(
                    "the {which} role must be allowed {actions} on {resources}: {}",
                    one.why
                ));
            }
        }
    }
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Variables that say to listen on every address, and what they should say.
fn bindings(app: &ContainerDefinition, port: u32) -> Vec<(String, String)> {
    let open = [
        format!("0.0.0.0:{port}"),
        format!("[::]:{port}"),
        format!("*:{port}"),
    ];
    let about_binding = |name: &str| {
        let name = name.to_uppercase();
        ["HOST", "BIND", "LISTEN", "ADDR"]
            .iter()
            .any(|word| name.contains(word))
    };

    let bound = app.environment.iter().filter_map(|one| {
        if open.contains(&one.value) {
            return Some((one.name.clone(), format!("127.0.0.1:{port}")));
        }
        let any = matches!(one.value.as_str(), "0.0.0.0" | "::" | "[::]");
        (any && about_binding(&one.name)).then(|| (one.name.clone(), "127.0.0.1".to_owned()))
    });

    bound.collect()
}
