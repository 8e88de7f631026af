//! Invariants that hold for every task and every sequence of events.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const CASES: u32 = 2000;
/// The notice period of Spot, in milliseconds.
const SPOT_NOTICE_MS: u64 = 120_000;

/// The behavior of a simulated container; times in milliseconds.
#[derive(Debug, Clone)]
struct Behavior {
    starts_in: Option<u64>,
    lives: Option<u64>,
    code: i32,
    stops_after: Option<u64>,
    probes: Vec<bool>,
}

#[derive(Debug, Clone)]
struct World {
    spec: Spec,
    behaviors: Vec<Behavior>,
    stop_at: u64,
    kill_at: Option<u64>,
    spot_at: Option<u64>,
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        3 => Just(Condition::Start),
        1 => Just(Condition::Complete),
        1 => Just(Condition::Success),
        2 => Just(Condition::Healthy),
    ]
}

fn container(index: usize) -> impl Strategy<Value = Container> {
    let dependencies = prop::collection::vec((0..index.max(1), condition()), 0..=index.min(3));
    let health = prop::option::of((1u64..8, 1u64..4, 1u32..4, 0u64..20));
    let restart = prop::option::weighted(0.3, (1u64..60, prop::collection::vec(0..4i32, 0..2)));
    let start_timeout = prop::option::of(1u64..40);

    (
        any::<bool>(),
        dependencies,
        start_timeout,
        0u64..=120,
        health,
        restart,
    )
        .prop_map(
            move |(essential, dependencies, start_timeout, stop_timeout, health, restart)| {
                Container {
                    name: format!("c{index}"),
                    essential: essential || index == 0,
                    depends_on: (dependencies.into_iter().filter(|_| index > 0))
                        .map(|(on, condition)| Dependency { on, condition })
                        .collect(),
                    start_timeout: start_timeout.map(Duration::from_secs),
                    stop_timeout: Duration::from_secs(stop_timeout),
                    health: health.map(|(interval, timeout, retries, start)| HealthCheck {
                        interval: Duration::from_secs(interval),
                        timeout: Duration::from_secs(timeout),
                        retries,
                        start_period: Duration::from_secs(start),
                    }),
                    restart: restart.map(|(period, codes)| RestartPolicy {
                        ignored_exit_codes: codes,
                        period: Duration::from_secs(period),
                    }),
                }
            },
        )
}

fn behavior() -> impl Strategy<Value = Behavior> {
    (
        prop::option::weighted(0.95, 0u64..2000),
        prop::option::weighted(0.6, 0u64..90_000),
        prop_oneof![2 => Just(0), 1 => 1..4i32],
        prop::option::weighted(0.7, 0u64..30_000),
        prop::collection::vec(any::<bool>(), 1..6),
    )
        .prop_map(|(starts_in, lives, code, stops_after, probes)| Behavior {
            starts_in,
            lives,
            code,
            stops_after,
            probes,
        })
}

fn world() -> impl Strategy<Value = World> {
    (1usize..6).prop_flat_map(|count| {
        let containers: Vec<_> = (0..count).map(|index| container(index).boxed()).collect();
        let behaviors = prop::collection::vec(behavior(), count);
        let kill_at = prop::option::weighted(0.2, 0u64..150_000);
        let spot_at = prop::option::weighted(0.3, 0u64..120_000);

        (containers, behaviors, 0u64..120_000, kill_at, spot_at).prop_map(
            |(containers, behaviors, stop_at, kill_at, spot_at)| World {
                spec: Spec { containers },
                behaviors,
                stop_at,
                kill_at,
                spot_at,
            },
        )
    })
}

/// What an observer without access to the machine's state knows of a container.
#[derive(Debug, Clone, Copy, Default)]
struct Observed {
    spawns: u32,
    alive: bool,
    first_run: Option<u64>,
    last_restart: Option<u64>,
    stopped: bool,
    code: Option<i32>,
    health: Health,
    signal: SentSignal,
}

/// The strongest signal a container was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum SentSignal {
    #[default]
    Nothing,
    Term,
    Kill,
}

/// Runs a task to its end and checks each invariant using observable changes only.
struct Simulation {
    world: World,
    state: State,
    seen: Vec<Observed>,
    queue: BTreeMap<(u64, u32), Event>,
    sequence: u32,
    stopping: Option<u64>,
    killing: bool,
    warned: Option<u64>,
    essential_gone: bool,
    status: TaskStatus,
}

impl Simulation {
    fn new(world: World) -> Self {
        let mut simulation = Self {
            state: State::new(world.spec.clone()),
            seen: vec![Observed::default(); world.behaviors.len()],
            queue: BTreeMap::new(),
            sequence: 0,
            stopping: None,
            killing: false,
            warned: None,
            essential_gone: false,
            status: TaskStatus::Pending,
            world,
        };

        let stop = |code| Event::StopRequested {
            code,
            reason: "x".into(),
        };

        simulation.post(simulation.world.stop_at, stop(StopCode::UserInitiated));
        if let Some(at) = simulation.world.spot_at {
            simulation.post(at, stop(StopCode::SpotInterruption));
        }

        if let Some(at) = simulation.world.kill_at {
            simulation.post(at, Event::KillRequested { reason: "x".into() });
        }
        simulation
    }

    fn post(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    fn run(&mut self) -> Result<(), TestCaseError> {
        // Far more steps than any generated task takes: reaching the bound is a failure, not a long run.
        let (mut now, mut event) = (0, Event::Tick);
        for _ in 0..20_000 {
            self.record(&event, now);
            let time = Duration::from_millis(now);
            let (state, actions, deadline) = step(self.state.clone(), event, time);
            self.state = state;
            for action in actions {
                self.act(action, now)?;
            }

            self.check_status()?;
            if self.status == TaskStatus::Stopped {
                prop_assert_eq!(deadline, None);
                return Ok(());
            }

            let due = deadline.map(|at| at.as_millis() as u64);
            prop_assert!(
                due.is_none_or(|at| at > now),
                "a deadline must be in the future"
            );
            let posted = self.queue.keys().next().map(|key| key.0);
            let Some(next) = [due, posted].into_iter().flatten().min() else {
                return Err(TestCaseError::fail("the task will never end"));
            };

            // A late event is delivered now: the simulated time never runs backwards.
            now = next.max(now);
            event = match posted {
                Some(at) if at <= now => self.queue.pop_first().unwrap().1,
                _ => Event::Tick,
            };
        }

        Err(TestCaseError::fail("the task does not end"))
    }

    /// Updates the observations with an event.
    fn record(&mut self, event: &Event, now: u64) {
        match *event {
            Event::Spawned { container } => {
                self.seen[container].alive = true;
                self.seen[container].first_run.get_or_insert(now);
                self.seen[container].health = Health::Unknown;
            }
            Event::Exited { container, .. } => self.seen[container].alive = false,
            Event::StopRequested { code, .. } => {
                self.stopping.get_or_insert(now);
                if code == StopCode::SpotInterruption {
                    self.warned = Some(now);
                }
            }
            Event::KillRequested { .. } => {
                self.stopping.get_or_insert(now);
                self.killing = true;
            }
            _ => {}
        }
    }

    fn act(&mut self, action: Action, now: u64) -> Result<(), TestCaseError> {
        match action {
            Action::Spawn { container } => self.spawn(container, now),
            Action::Terminate { container } => {
                self.check_order(container)?;
                let seen = &mut self.seen[container];
                prop_assert!(
                    seen.alive && seen.signal == SentSignal::Nothing && self.stopping.is_some()
                );
                seen.signal = SentSignal::Term;
                if let Some(delay) = self.world.behaviors[container].stops_after {
                    self.exit(container, now + delay, Some(143));
                }
                Ok(())
            }
            Action::Kill { container } => {
                // A kill needs a reason: an immediate stop, the end of the notice period, or an expired stop timeout.
                let seen = &mut self.seen[container];
                prop_assert!(seen.alive && seen.signal != SentSignal::Kill);
                let taken = self.warned.is_some_and(|at| now >= at + SPOT_NOTICE_MS);
                prop_assert!(self.killing || taken || seen.signal == SentSignal::Term);
                seen.signal = SentSignal::Kill;
                // Killing takes 5 ms: long enough to overlap with other events.
                self.exit(container, now + 5, Some(137));
                Ok(())
            }
            Action::Probe {
                container,
                run,
                timeout,
            } => {
                let seen = self.seen[container];
                prop_assert!(seen.alive && seen.signal == SentSignal::Nothing);
                let probes = &self.world.behaviors[container].probes;
                // Derived from the time, so that the results of one container vary and stay reproducible.
                let good = probes[now as usize % probes.len()];
                let outcome = if good {
                    Outcome::Passed
                } else {
                    Outcome::Failed
                };

                // A failing probe takes the whole timeout, the longest case.
                let takes = if good { 20 } else { timeout.as_millis() as u64 };
                let began = Duration::from_millis(now);
                self.post(
                    now + takes,
                    Event::Probed {
                        container,
                        run,
                        began,
                        outcome,
                    },
                );
                Ok(())
            }
            Action::Publish(change) => self.check_change(change, now),
        }
    }

    /// Invariants (1) and (5): a container starts only when its conditions hold, and restarts only by its policy.
    fn spawn(&mut self, container: usize, now: u64) -> Result<(), TestCaseError> {
        prop_assert!(self.stopping.is_none() && !self.essential_gone);
        let seen = self.seen[container];
        prop_assert!(!seen.alive && !seen.stopped);

        // Conditions apply to the first start only; a restart does not wait for dependencies again.
        if seen.spawns == 0 {
            for dependency in &self.world.spec.containers[container].depends_on {
                let on = self.seen[dependency.on];
                let holds = match dependency.condition {
                    Condition::Start => on.first_run.is_some(),
                    Condition::Complete => on.stopped && on.code.is_some(),
                    Condition::Success => on.stopped && on.code == Some(0),
                    Condition::Healthy => on.alive && on.health == Health::Healthy,
                };
                prop_assert!(holds, "c{container} started before {dependency:?}");
            }
        }

        self.seen[container].spawns += 1;
        let behavior = self.world.behaviors[container].clone();
        match behavior.starts_in {
            Some(delay) => {
                self.post(now + delay, Event::Spawned { container });
                if let Some(lives) = behavior.lives {
                    self.exit(container, now + delay + lives, Some(behavior.code));
                }
            }
            None => {
                self.post(
                    now + 1,
                    Event::SpawnFailed {
                        container,
                        reason: "cannot".into(),
                    },
                );
            }
        }

        Ok(())
    }

    /// Schedules one exit per start: the earliest of all causes wins.
    fn exit(&mut self, container: usize, at: u64, code: Option<i32>) {
        let same =
            |event: &Event| matches!(event, Event::Exited { container: c, .. } if *c == container);
        let planned = self
            .queue
            .iter()
            .find(|(_, event)| same(event))
            .map(|(key, _)| *key);

        if let Some(key) = planned {
            if key.0 <= at {
                return;
            }
            self.queue.remove(&key);
        }

        self.post(
            at,
            Event::Exited {
                container,
                code,
                out_of_memory: false,
            },
        );
    }

    /// Invariant (2): a container is asked to stop only after its dependents have ended.
    fn check_order(&self, container: usize) -> Result<(), TestCaseError> {
        for (other, spec) in self.world.spec.containers.iter().enumerate() {
            if spec
                .depends_on
                .iter()
                .any(|dependency| dependency.on == container)
            {
                prop_assert!(
                    !self.seen[other].alive,
                    "c{container} stopped before c{other}"
                );
            }
        }
        Ok(())
    }

    fn check_change(&mut self, change: Change, now: u64) -> Result<(), TestCaseError> {
        match change {
            Change::Stopped {
                container, code, ..
            } => {
                let spec = &self.world.spec.containers[container];
                // Invariant (5), the other direction: a container stays stopped only where its policy does not restart it.
                if let (Some(code), Some(first), true, Some(policy)) = (
                    code,
                    self.seen[container].first_run,
                    self.stopping.is_none(),
                    &spec.restart,
                ) {
                    let since = self.seen[container].last_restart.unwrap_or(first);
                    let long = u128::from(now - since) >= policy.period.as_millis();
                    prop_assert!(!long || policy.ignored_exit_codes.contains(&code));
                }

                self.essential_gone |= spec.essential;
                self.seen[container].stopped = true;
                self.seen[container].code = code;

                // Invariant (3): a stop takes no longer than the longest path of stop timeouts, plus the starts
                // and kills under way (2 s and 5 ms each here).
                if let Some(since) = self.stopping {
                    let limit = self.world.spec.longest_stop().as_millis() as u64 + 2000 + 50;
                    prop_assert!(now - since <= limit, "{} > {limit}", now - since);
                }

                // Invariant (7): nothing runs after the notice period of Spot.
                if let Some(warned) = self.warned {
                    prop_assert!(
                        now <= warned + SPOT_NOTICE_MS + 2000 + 50,
                        "{now}, warned at {warned}"
                    );
                }
            }
            Change::Replacing { .. } => prop_assert!(self.stopping.is_none()),
            Change::Restarting { container, code } => {
                let seen = &mut self.seen[container];
                let policy = self.world.spec.containers[container]
                    .restart
                    .clone()
                    .unwrap();
                let since = seen.last_restart.or(seen.first_run).unwrap();

                prop_assert!(self.stopping.is_none());
                prop_assert!(!policy.ignored_exit_codes.contains(&code));
                prop_assert!(u128::from(now - since) >= policy.period.as_millis());
                seen.last_restart = Some(now);
            }
            Change::Health {
                container, health, ..
            } => self.seen[container].health = health,
            Change::TaskStopping(_) => {
                self.stopping.get_or_insert(now);
            }
            Change::Task(status) => {
                prop_assert!(status > self.status, "a task's status never goes back");
                self.status = status;
            }
            _ => {}
        }

        Ok(())
    }

    /// Invariants (4) and (6): an essential exit stops the task, and the task is RUNNING exactly if every
    /// container has run and no essential one has ended.
    fn check_status(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.essential_gone && self.stopping.is_none(), false);
        let all_ran = self
            .seen
            .iter()
            .all(|seen| seen.first_run.is_some() || seen.stopped);
        let expected = if self.seen.iter().all(|seen| seen.stopped) {
            TaskStatus::Stopped
        } else if self.status == TaskStatus::Running || (self.stopping.is_none() && all_ran) {
            TaskStatus::Running
        } else {
            TaskStatus::Pending
        };

        prop_assert_eq!(self.status, expected);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn every_task_keeps_the_invariants(world in world()) {
        Simulation::new(world).run()?;
    }
}
