//! Carries out what the scheduler of a service decides.

use std::collections::VecDeque;
use std::time::SystemTime;

use task_definition::{Tag, TaskOverride};

use super::{Key, Known, Service, ServiceTask, StopRequest, to_time};
use crate::deployment::{Action, Event, Note, StopReason, step};
use crate::state::State;
use crate::tasks::Launch;

impl State {
    /// Sends an event to the scheduler of a service.
    pub(super) fn send(&mut self, key: &Key, event: Event, now: SystemTime) {
        // Out of the map meanwhile, because it changes the tasks and events of the state, too.
        if let Some(mut service) = self.services.by_key.remove(key) {
            self.step_service(&mut service, event, now);
            self.services.by_key.insert(key.clone(), service);
        }
    }

    /// Sends an event, and carries out what the scheduler decides.
    pub(super) fn step_service(&mut self, service: &mut Service, event: Event, now: SystemTime) {
        // Protection ends with time, so it is looked up for each step.
        let protected = self.protected_tasks(service, now);
        service.scheduler.set_protected(protected);

        let (mut started, mut has_capacity) = (Vec::new(), true);
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let mut refused = Vec::new();
            for action in step(&mut service.scheduler, event, to_time(now)) {
                match action {
                    Action::Start { task, .. } if self.tasks.alive() >= self.max_tasks => {
                        refused.push(task);
                    }
                    Action::Start { task, revision } => {
                        started.extend(self.start_task(service, task, revision, now));
                    }
                    Action::Stop { task, reason } => {
                        service.stop_task(task, reason, self.options.deregistration_delay, now);
                    }
                    Action::Report(note) => {
                        if let Note::RollingBack { revision } = note {
                            service.restore(revision);
                        }
                        self.report(service, note, now);
                    }
                    Action::Publish {
                        revision,
                        outcome,
                        reason,
                    } => {
                        self.publish(service, revision, outcome, &reason, now);
                    }
                }
            }

            // The scheduler pauses after a refusal, so the loop ends.
            if !refused.is_empty() {
                has_capacity = false;
                events.push_back(Event::Refused(refused));
            }
        }

        service.say_started(&started, has_capacity, now);
        service.update_weights();
    }

    /// Starts a task. Returns its id.
    fn start_task(
        &mut self,
        service: &mut Service,
        number: u64,
        revision: u64,
        now: SystemTime,
    ) -> Option<String> {
        let launch = service.launch(number, revision)?;
        let id = self.launch(launch, now);
        let task = ServiceTask {
            id: id.clone(),
            revision,
            known: Known::Pending,
            stop: None,
            running_since: None,
            checks: Vec::new(),
            failed_in: None,
        };

        service.tasks.insert(number, task);

        Some(id)
    }
}

impl Service {
    fn say_started(&mut self, started: &[String], has_capacity: bool, now: SystemTime) {
        if !has_capacity {
            self.say(
                "was unable to place a task. Reason: Capacity is unavailable at this time: the emulator \
                 runs as many tasks as --max-tasks allows.",
                now,
            );
        }

        if !started.is_empty() {
            let count = started.len();
            let ids: Vec<String> = started.iter().map(|id| format!("(task {id})")).collect();
            self.say(
                &format!("has started {count} tasks: {}.", ids.join(" ")),
                now,
            );
        }
    }

    fn restore(&mut self, revision: u64) {
        if let Some(revision) = self.revisions.get(&revision) {
            self.settings.restore(&revision.settings);
        }
    }

    fn launch(&self, task: u64, revision: u64) -> Option<Launch> {
        let revision = self.revisions.get(&revision)?;
        let settings = &revision.settings;
        let network = settings.input.network_configuration.as_ref();
        let network = network.and_then(|network| network.awsvpc_configuration.as_ref());
        // Subnets are names only: every task runs on this host.
        let subnets = network
            .map(|network| network.subnets.as_slice())
            .unwrap_or_default();
        // Spread over the subnets, as ECS does over zones.
        let subnet = subnets.get(task as usize % subnets.len().max(1));

        Some(Launch {
            cluster: self.cluster.clone(),
            definition: revision.definition.clone(),
            revision: revision.definition_number,
            overrides: TaskOverride::default(),
            group: format!("service:{}", self.name),
            started_by: Some(revision.deployment_id.clone()),
            service: Some(self.name.clone()),
            capacity_provider: settings.capacity_provider(task),
            subnet: subnet.cloned().unwrap_or_default(),
            tags: self.task_tags(revision),
            enable_execute_command: settings.input.enable_execute_command.unwrap_or(false),
        })
    }

    /// Returns the tags of a task: those that ECS manages, and those that are propagated.
    fn task_tags(&self, revision: &super::Revision) -> Vec<Tag> {
        let settings = &revision.settings;
        let mut tags = match settings.get("propagateTags").as_str() {
            Some("SERVICE") => self.tags.clone(),
            Some("TASK_DEFINITION") => revision.definition_tags.clone(),
            _ => Vec::new(),
        };

        if settings.input.enable_ecs_managed_tags.unwrap_or(false) {
            let managed = [
                ("aws:ecs:clusterName", &self.cluster),
                ("aws:ecs:serviceName", &self.name),
            ];
            tags.extend(managed.map(|(key, value)| Tag {
                key: key.to_owned(),
                value: value.clone(),
            }));
        }

        tags
    }

    /// Takes a task out of the listeners; it is stopped once its connections are closed.
    fn stop_task(
        &mut self,
        number: u64,
        reason: StopReason,
        delay: std::time::Duration,
        now: SystemTime,
    ) {
        let primary = self.primary().unwrap_or_default();
        let deployment = self.deployment_id(primary).to_owned();
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };

        let reason = match (reason, &task.failed_in) {
            (StopReason::Scaling, _) => {
                format!("Scaling activity initiated by (deployment {deployment})")
            }
            (StopReason::Unhealthy, Some(group)) => {
                format!("Task failed ELB health checks in (target-group {group})")
            }
            (StopReason::Unhealthy, None) => "Task failed container health checks".to_owned(),
        };

        let was_healthy = task.known == Known::Healthy;
        // Its end is no failure from now on.
        task.known = Known::Stopping;
        task.stop = Some(StopRequest {
            reason,
            not_after: now + delay,
            is_sent: false,
        });

        self.drain(number);

        if was_healthy && !self.routes.is_empty() {
            self.say("has begun draining connections on 1 tasks.", now);
        }
    }
}
