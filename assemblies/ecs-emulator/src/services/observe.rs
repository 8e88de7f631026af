//! Finds out what the tasks of a service have done.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;

use super::probe::Probe;
use super::{Known, Service, Status};
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
        let has_targets = !self.routes.is_empty();
        if task.status == TaskStatus::Stopped {
            return self
                .observe_stop(number, task)
                .into_iter()
                .chain([Event::Stopped(number)])
                .collect();
        }

        if !task.is_wanted() {
            return self.observe_stop(number, task).into_iter().collect();
        }

        if task.status < TaskStatus::Running {
            return Vec::new();
        }

        self.start_probes(number, task, runtime);
        let is_checked = has_targets || has_health_check(task);
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

        events.extend(self.observe_health(number, task, now));
        events
    }

    /// Returns that a task has ended by itself, or was stopped by a user.
    fn observe_stop(&mut self, number: u64, task: &Task) -> Option<Event> {
        let own = self.tasks.get_mut(&number)?;
        if own.known == Known::Stopping {
            return None;
        }

        own.known = Known::Stopping;
        for route in &self.routes {
            route.drain(number);
        }

        let by_user = task
            .stop
            .as_ref()
            .is_some_and(|stop| stop.code == "UserInitiated");

        Some(Event::Stopping {
            task: number,
            is_failure: !by_user,
        })
    }

    fn observe_health(&mut self, number: u64, task: &Task, now: SystemTime) -> Option<Event> {
        let grace = self
            .settings
            .input
            .health_check_grace_period_seconds
            .unwrap_or(0);
        let grace = Duration::from_secs(grace.into()).max(START_LIMIT);
        let failed = self.find_failed_probe(number, grace, now);
        let has_probes = !self.routes.is_empty();
        let own = self.tasks.get_mut(&number)?;
        if !matches!(own.known, Known::Running | Known::Healthy) {
            return None;
        }

        if task.health == "UNHEALTHY" || failed.is_some() {
            own.failed_in = failed;
            own.known = Known::Unhealthy;
            return Some(Event::Unhealthy(number));
        }

        let is_checked = has_probes || has_health_check(task);
        let passes_container = !has_health_check(task) || task.health == "HEALTHY";
        let passes_targets =
            own.probes.len() == self.routes.len() && own.probes.iter().all(Probe::passes);
        if own.known == Known::Healthy || !is_checked || !passes_container || !passes_targets {
            return None;
        }

        own.known = Known::Healthy;
        self.register(number, task, now);

        Some(Event::Healthy(number))
    }

    /// Checks the targets of a task, once their ports are published.
    fn start_probes(&mut self, number: u64, task: &Task, runtime: &Handle) {
        let Some(own) = self.tasks.get_mut(&number) else {
            return;
        };

        if !own.probes.is_empty() || self.routes.is_empty() {
            return;
        }

        let addresses: Option<Vec<_>> = self
            .routes
            .iter()
            .map(|route| route.address_of(task))
            .collect();
        if let Some(addresses) = addresses {
            own.probes = addresses
                .into_iter()
                .map(|address| Probe::start(address, runtime))
                .collect();
        }
    }

    /// Returns the target group in which a task is unhealthy.
    fn find_failed_probe(&self, number: u64, grace: Duration, now: SystemTime) -> Option<String> {
        let own = self.tasks.get(&number)?;
        let age = now.duration_since(own.running_since?).unwrap_or_default();
        let has_passed = own.known == Known::Healthy;
        if !has_passed && age < grace {
            return None;
        }

        let mut pairs = self.routes.iter().zip(&own.probes);
        let failed = pairs.find(|(_, probe)| {
            if has_passed {
                probe.fails()
            } else {
                !probe.passes()
            }
        });

        failed.map(|(route, _)| route.group_arn().to_owned())
    }

    /// Registers a healthy task with all listeners.
    fn register(&mut self, number: u64, task: &Task, now: SystemTime) {
        let Some(revision) = self.tasks.get(&number).map(|own| own.revision) else {
            return;
        };

        let mut texts = Vec::new();
        for route in &self.routes {
            if let Some(address) = route.address_of(task) {
                route.register(number, revision, address);
                texts.push(format!(
                    "registered 1 targets in (target-group {})",
                    route.group_arn()
                ));
            }
        }

        texts.dedup();

        for text in texts {
            self.say(&text, now);
        }
    }

    /// Returns the tasks whose connections are closed, or have been open for too long.
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

fn has_health_check(task: &Task) -> bool {
    let containers = &task.definition.container_definitions;
    containers
        .iter()
        .any(|container| container.health_check.is_some())
}

/// How long a task may take until its targets answer, at least. The clock of a program is the real one, so this is
/// not scaled.
const START_LIMIT: Duration = Duration::from_secs(30);
