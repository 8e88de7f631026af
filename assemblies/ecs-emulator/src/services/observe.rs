//! Finds out what the tasks of a service have done.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;

use super::probe::Probe;
use super::{Check, Known, Service, Status};
use crate::deployment::Event;
use crate::state::State;
use crate::tasks::{Stop, Task, TaskStatus};

impl State {
    /// Looks at a service once: what its tasks have done, what its scheduler decides, and which tasks can be stopped
    /// because their connections are closed.
    pub(super) fn tick_service(
        &mut self,
        service: &mut Service,
        now: SystemTime,
        runtime: &Handle,
    ) {
        service.open_routes(&self.options.listen, runtime, now);
        let numbers: Vec<u64> = service.tasks.keys().copied().collect();
        for number in numbers {
            let id = service
                .tasks
                .get(&number)
                .map(|task| task.id.clone())
                .unwrap_or_default();
            // The record of a task outlives its process by an hour.
            let events = match self.tasks.by_id.get(&id) {
                Some(task) => service.observe(number, task, now, runtime),
                // ECS forgets stopped tasks.
                None => vec![Event::Stopped(number)],
            };
            for event in events {
                let has_stopped = event == Event::Stopped(number);
                self.step_service(service, event, now);
                if has_stopped {
                    service.forget(number);
                }
            }
        }

        self.step_service(service, Event::Tick, now);

        for (id, stop) in service.take_drained(now) {
            self.request_stop(&id, stop, now);
        }

        // ECS calls it INACTIVE once its tasks are STOPPING; here they have stopped, so nothing is left.
        if service.status == Status::Draining && service.tasks.is_empty() {
            service.status = Status::Inactive;
            service.routes.clear();
        }
    }
}

impl State {
    /// Returns the tasks with scale-in protection. A service that is deleted has none.
    pub(super) fn protected_tasks(&self, service: &Service, now: SystemTime) -> BTreeSet<u64> {
        if service.status != Status::Active {
            return BTreeSet::new();
        }
        let is_protected = |id: &str| {
            let task = self.tasks.by_id.get(id);
            task.and_then(|task| task.protected_until)
                .is_some_and(|until| until > now)
        };
        let tasks = service
            .tasks
            .iter()
            .filter(|(_, own)| is_protected(&own.id));
        tasks.map(|(number, _)| *number).collect()
    }
}

impl Service {
    /// Compares a task with what the scheduler knows of it.
    fn observe(
        &mut self,
        number: u64,
        task: &Task,
        now: SystemTime,
        runtime: &Handle,
    ) -> Vec<Event> {
        if task.status == TaskStatus::Stopped {
            return self
                .observe_stop(number, task)
                .into_iter()
                .chain([Event::Stopped(number)])
                .collect();
        }

        // Replaced at once: stopping may take as long as its stopTimeout.
        if !task.is_wanted() {
            return self.observe_stop(number, task).into_iter().collect();
        }

        if task.status < TaskStatus::Running {
            return Vec::new();
        }

        let targets = self.targets_of(number, task);
        let is_checked = !targets.is_empty() || has_health_check(task);
        self.start_checks(number, &targets, runtime);
        let Some(own) = self.tasks.get_mut(&number) else {
            return Vec::new();
        };

        let mut events = Vec::new();
        if own.known == Known::Pending {
            own.known = Known::Running;
            own.running_since = Some(now);
            events.push(Event::Running {
                task: number,
                is_checked,
            });
        }

        events.extend(self.observe_health(number, task, &targets, now));
        events
    }

    /// Returns that a task has ended by itself, or was stopped by a user.
    fn observe_stop(&mut self, number: u64, task: &Task) -> Option<Event> {
        let own = self.tasks.get_mut(&number)?;
        if own.known == Known::Stopping {
            return None;
        }

        own.known = Known::Stopping;
        self.drain(number);

        let by_user = task
            .stop
            .as_ref()
            .is_some_and(|stop| stop.code == "UserInitiated");

        Some(Event::Stopping {
            task: number,
            is_failure: !by_user,
        })
    }

    fn observe_health(
        &mut self,
        number: u64,
        task: &Task,
        targets: &[Target],
        now: SystemTime,
    ) -> Option<Event> {
        // Before its state is borrowed.
        let failed = self.find_failed_target(number, targets, now);
        let own = self.tasks.get_mut(&number)?;
        if !matches!(own.known, Known::Running | Known::Healthy) {
            return None;
        }

        if task.health == "UNHEALTHY" || failed.is_some() {
            own.failed_in = failed;
            own.known = Known::Unhealthy;
            // A load balancer sends nothing to a target that fails its checks.
            self.drain(number);
            return Some(Event::Unhealthy(number));
        }

        let is_checked = !targets.is_empty() || has_health_check(task);
        let passes_container = !has_health_check(task) || task.health == "HEALTHY";
        let passes_targets = own.checks.len() == targets.len()
            && own.checks.iter().all(|check| check.probe.passes());
        if own.known == Known::Healthy || !is_checked || !passes_container || !passes_targets {
            return None;
        }

        own.known = Known::Healthy;
        self.register(number, now);
        Some(Event::Healthy(number))
    }

    /// Returns the targets of a task: its ports behind the load balancers of its revision, which may not be those of
    /// the service any more.
    fn targets_of(&self, number: u64, task: &Task) -> Vec<Target> {
        let revision = self.tasks.get(&number).map(|own| own.revision);
        let revision = revision.and_then(|revision| self.revisions.get(&revision));
        let Some(revision) = revision else {
            return Vec::new();
        };

        let balancers = &revision.settings.input.load_balancers;
        let routes = self.routes.iter().filter(|route| route.serves(balancers));
        routes
            .map(|route| Target {
                route: route.id(),
                address: route.address_of(task),
            })
            .collect()
    }

    /// Starts to check the targets of a task, once all its ports are published.
    fn start_checks(&mut self, number: u64, targets: &[Target], runtime: &Handle) {
        let Some(own) = self.tasks.get_mut(&number) else {
            return;
        };
        if !own.checks.is_empty() || targets.iter().any(|target| target.address.is_none()) {
            return;
        }

        let known = targets
            .iter()
            .filter_map(|target| Some((target.route, target.address?)));
        own.checks = known
            .map(|(route, address)| Check {
                route,
                address,
                probe: Probe::start(address, runtime),
            })
            .collect();
    }

    /// Returns the target group in which a task is unhealthy. Before its first success a task has some time.
    fn find_failed_target(
        &self,
        number: u64,
        targets: &[Target],
        now: SystemTime,
    ) -> Option<String> {
        let own = self.tasks.get(&number)?;
        let grace = self.settings.input.health_check_grace_period_seconds;
        let grace = Duration::from_secs(grace.unwrap_or(0).into()).max(START_LIMIT);
        let age = now.duration_since(own.running_since?).unwrap_or_default();

        let failed = if own.known == Known::Healthy {
            own.checks
                .iter()
                .find(|check| check.probe.fails())
                .map(|check| check.route)
        } else if age < grace {
            None
        } else if own.checks.is_empty() {
            // Its ports were never published.
            targets.first().map(|target| target.route)
        } else {
            own.checks
                .iter()
                .find(|check| !check.probe.passes())
                .map(|check| check.route)
        };

        let route = self
            .routes
            .iter()
            .find(|route| Some(route.id()) == failed)?;
        Some(route.group_arn().to_owned())
    }

    /// Registers a healthy task with its listeners.
    fn register(&mut self, number: u64, now: SystemTime) {
        let Some(own) = self.tasks.get(&number) else {
            return;
        };

        let mut texts = Vec::new();
        for check in &own.checks {
            let route = self.routes.iter().find(|route| route.id() == check.route);
            if let Some(route) = route {
                route.register(number, own.revision, check.address);
                let group = route.group_arn();
                texts.push(format!("registered 1 targets in (target-group {group})"));
            }
        }

        // Production and test traffic have the same target group.
        texts.dedup();
        for text in texts {
            self.say(&text, now);
        }
    }

    /// Takes a task out of the listeners.
    pub(super) fn drain(&self, number: u64) {
        for route in &self.routes {
            route.drain(number);
        }
    }

    /// Returns the tasks without open connections, and those that kept them for too long.
    fn take_drained(&mut self, now: SystemTime) -> Vec<(String, Stop)> {
        let routes = &self.routes;
        let mut drained = Vec::new();
        for (number, task) in &mut self.tasks {
            let Some(stop) = task.stop.as_mut().filter(|stop| !stop.is_sent) else {
                continue;
            };
            let is_idle = routes
                .iter()
                .all(|route| route.open_connections(*number) == 0);
            if is_idle || stop.not_after <= now {
                stop.is_sent = true;
                drained.push((
                    task.id.clone(),
                    Stop {
                        code: "ServiceSchedulerInitiated".to_owned(),
                        reason: stop.reason.clone(),
                    },
                ));
            }
        }

        drained
    }

    fn forget(&mut self, number: u64) {
        self.tasks.remove(&number);
        for route in &self.routes {
            route.remove(number);
        }
    }
}

/// A port of a task behind a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    route: u64,
    /// Once it is published.
    address: Option<SocketAddr>,
}

fn has_health_check(task: &Task) -> bool {
    let containers = &task.definition.container_definitions;
    containers
        .iter()
        .any(|container| container.health_check.is_some())
}

/// How long a task may take until its targets answer, at least. The clock of a program is the real one, so this is
/// not scaled.
const START_LIMIT: Duration = Duration::from_secs(30);
