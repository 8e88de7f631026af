//! Stories of a task: at this time this happens, and then the machine does exactly that.

use super::*;

/// One line of a story: milliseconds since the start, what happens, what follows.
type Line = (u64, &'static str, &'static str);

fn named(name: &str) -> Container {
    Container {
        name: name.into(),
        essential: true,
        depends_on: vec![],
        start_timeout: None,
        stop_timeout: Duration::from_secs(30),
        health: None,
        restart: None,
    }
}

fn check(interval: u64, retries: u32, start_period: u64) -> HealthCheck {
    HealthCheck {
        interval: Duration::from_secs(interval),
        timeout: Duration::from_secs(2),
        retries,
        start_period: Duration::from_secs(start_period),
    }
}

fn need(on: usize, condition: Condition) -> Vec<Need> {
    vec![Need { on, condition }]
}

fn policy(period: u64, ignored: &[i32]) -> RestartPolicy {
    RestartPolicy {
        ignored_exit_codes: ignored.to_vec(),
        period: Duration::from_secs(period),
    }
}

fn sidecar(name: &str) -> Container {
    Container {
        essential: false,
        ..named(name)
    }
}

/// app ← proxy (START), telemetry ← app (START).
fn chain() -> Vec<Container> {
    vec![
        Container {
            depends_on: need(1, Condition::Start),
            ..named("proxy")
        },
        Container {
            depends_on: need(2, Condition::Start),
            ..named("app")
        },
        sidecar("telemetry"),
    ]
}

/// `init` as a dependency of `app` under a condition.
fn pair(init: Container, condition: Condition) -> Vec<Container> {
    vec![
        init,
        Container {
            depends_on: need(0, condition),
            ..named("app")
        },
    ]
}

#[track_caller]
fn tell(containers: Vec<Container>, story: &[Line]) -> State {
    let mut state = State::new(Spec { containers });
    for (at, event, expected) in story {
        let now = Duration::from_millis(*at);
        let event = parse(&state, event, now);
        let (next, actions, _) = step(state, event, now);
        state = next;
        let told: Vec<_> = actions
            .iter()
            .filter_map(|one| words(&state, one))
            .collect();
        assert_eq!(told.join(", "), *expected, "at {at} ms");
    }
    state
}

fn parse(state: &State, text: &str, now: Duration) -> Event {
    let at = |name: &str| {
        state
            .spec
            .containers
            .iter()
            .position(|one| one.name == name)
            .unwrap()
    };
    let probed = |name, ago, outcome| {
        let container = at(name);
        let began = now.saturating_sub(Duration::from_millis(ago));
        Event::Probed {
            container,
            run: state.members[container].run,
            began,
            outcome,
        }
    };
    match text.split(' ').collect::<Vec<_>>()[..] {
        ["tick"] => Event::Tick,
        ["stop"] => Event::StopRequested {
            code: StopCode::UserInitiated,
            reason: "asked".into(),
        },
        ["kill"] => Event::KillRequested {
            reason: "asked".into(),
        },
        [name, "runs"] => Event::Spawned {
            container: at(name),
        },
        [name, "cannot"] => Event::SpawnFailed {
            container: at(name),
            reason: "CannotStartContainerError: no such file".into(),
        },
        [name, "passes"] => probed(name, 0, Outcome::Passed),
        [name, "fails"] => probed(name, 0, Outcome::Failed),
        [name, "fails", "after", ago] => probed(name, ago.parse().unwrap(), Outcome::Failed),
        [name, "exits", "oom"] => Event::Exited {
            container: at(name),
            code: Some(137),
            out_of_memory: true,
        },
        [name, "exits", code] => Event::Exited {
            container: at(name),
            code: code.parse().ok(),
            out_of_memory: false,
        },
        _ => panic!("no such event: {text}"),
    }
}

/// The starting of a container is told by its spawn alone, its ending by the change alone.
fn words(state: &State, action: &Action) -> Option<String> {
    let name = |container: usize| &state.spec.containers[container].name;
    Some(match action {
        Action::Spawn { container } => format!("spawn {}", name(*container)),
        Action::Terminate { container } => format!("term {}", name(*container)),
        Action::Kill { container } => format!("kill {}", name(*container)),
        Action::Probe { container, .. } => format!("probe {}", name(*container)),
        Action::Publish(change) => match change {
            Change::Starting { .. }
            | Change::Stopping { .. }
            | Change::Killing { .. }
            | Change::Running { .. }
            | Change::Restarting { .. } => return None,
            Change::Health {
                container,
                health,
                streak,
            } => {
                format!("{} {health}/{streak}", name(*container))
            }
            Change::Stopped {
                container,
                code,
                reason,
            } => {
                let code = code.map_or("never ran".into(), |code| format!("= {code}"));
                let first = reason.as_deref().and_then(|text| text.split(':').next());
                let reason = first.map(|text| format!(" {text}")).unwrap_or_default();
                format!("{} {code}{reason}", name(*container))
            }
            Change::TaskStopping(stop) => format!("stopping: {}", stop.code),
            Change::Task(status) => status.to_string(),
        },
    })
}

#[test]
fn starts_after_dependencies_and_stops_in_reverse() {
    tell(
        chain(),
        &[
            (0, "tick", "spawn telemetry"),
            (1, "telemetry runs", "spawn app"),
            (2, "app runs", "spawn proxy"),
            (3, "proxy runs", "RUNNING"),
            (9, "stop", "stopping: UserInitiated, term proxy"),
            (10, "proxy exits 0", "proxy = 0, term app"),
            (11, "app exits 143", "app = 143, term telemetry"),
            (12, "telemetry exits 0", "telemetry = 0, STOPPED"),
        ],
    );
}

#[test]
fn an_essential_exit_stops_the_task_even_with_code_zero() {
    let state = tell(
        vec![named("app"), sidecar("telemetry")],
        &[
            (0, "tick", "spawn app, spawn telemetry"),
            (1, "app runs", ""),
            (2, "telemetry runs", "RUNNING"),
            (
                3,
                "app exits 0",
                "app = 0, stopping: EssentialContainerExited, term telemetry",
            ),
            (4, "telemetry exits 0", "telemetry = 0, STOPPED"),
        ],
    );
    let stop = state.stop().unwrap();
    assert_eq!(
        (stop.reason.as_str(), stop.guilty),
        ("Essential container in task exited", Some(0))
    );
}

#[test]
fn a_non_essential_exit_changes_nothing() {
    tell(
        vec![named("app"), sidecar("telemetry")],
        &[
            (0, "tick", "spawn app, spawn telemetry"),
            (1, "app runs", ""),
            (2, "telemetry runs", "RUNNING"),
            (3, "telemetry exits 1", "telemetry = 1"),
            (4, "tick", ""),
        ],
    );
}

#[test]
fn start_holds_when_the_dependency_has_already_exited() {
    tell(
        vec![
            sidecar("init"),
            Container {
                health: Some(check(5, 1, 0)),
                ..named("slow")
            },
            Container {
                depends_on: [need(1, Condition::Healthy), need(0, Condition::Start)].concat(),
                ..named("app")
            },
        ],
        &[
            (0, "tick", "spawn init, spawn slow"),
            (1, "init runs", ""),
            (2, "slow runs", ""),
            (3, "init exits 7", "init = 7"),
            (5002, "tick", "probe slow"),
            (5003, "slow passes", "slow HEALTHY/0, spawn app"),
        ],
    );
}

#[test]
fn complete_takes_any_known_code() {
    tell(
        pair(sidecar("init"), Condition::Complete),
        &[
            (0, "tick", "spawn init"),
            (1, "init runs", ""),
            (2, "init exits 3", "init = 3, spawn app"),
            (3, "app runs", "RUNNING"),
        ],
    );
}

#[test]
fn complete_waits_on_when_the_code_is_unknown() {
    tell(
        pair(sidecar("init"), Condition::Complete),
        &[
            (0, "tick", "spawn init"),
            (1, "init runs", ""),
            (2, "init exits unknown", "init never ran"),
            (3, "tick", ""),
        ],
    );
}

#[test]
fn success_lets_pass_only_zero() {
    tell(
        pair(sidecar("init"), Condition::Success),
        &[
            (0, "tick", "spawn init"),
            (1, "init runs", ""),
            (2, "init exits 0", "init = 0, spawn app"),
            (3, "app runs", "RUNNING"),
        ],
    );
    tell(
        pair(sidecar("init"), Condition::Success),
        &[
            (0, "tick", "spawn init"),
            (1, "init runs", ""),
            (
                2,
                "init exits 2",
                "init = 2, app = 143 CannotStartContainerError, stopping: TaskFailedToStart, STOPPED",
            ),
        ],
    );
}

#[test]
fn nothing_starts_any_more_when_an_essential_one_cannot() {
    let mut containers = pair(sidecar("init"), Condition::Success);
    containers.insert(
        1,
        Container {
            depends_on: need(0, Condition::Complete),
            ..sidecar("other")
        },
    );
    tell(
        containers,
        &[
            (0, "tick", "spawn init"),
            (1, "init runs", ""),
            (
                2,
                "init exits 2",
                "init = 2, app = 143 CannotStartContainerError, stopping: TaskFailedToStart, other never ran, STOPPED",
            ),
        ],
    );
}

#[test]
fn what_cannot_start_is_passed_on_to_what_depends_on_it() {
    let mut containers = pair(sidecar("init"), Condition::Success);
    containers.push(Container {
        depends_on: need(1, Condition::Start),
        ..named("proxy")
    });
    containers[1].essential = false;
    tell(
        containers,
        &[
            (0, "tick", "spawn init"),
            (
                1,
                "init cannot",
                "init never ran CannotStartContainerError, app = 143 CannotStartContainerError, proxy = 143 CannotStartContainerError, stopping: TaskFailedToStart, STOPPED",
            ),
        ],
    );
}

#[test]
fn healthy_waits_for_the_first_probe_one_interval_after_the_start() {
    let auth = Container {
        health: Some(check(5, 3, 0)),
        ..named("auth")
    };
    tell(
        pair(auth, Condition::Healthy),
        &[
            (0, "tick", "spawn auth"),
            (10, "auth runs", ""),
            (5009, "tick", ""),
            (5010, "tick", "probe auth"),
            (5020, "tick", ""),
            (5030, "auth passes", "auth HEALTHY/0, spawn app"),
            (5040, "app runs", "RUNNING"),
            (10029, "tick", ""),
            (10030, "tick", "probe auth"),
        ],
    );
}

#[test]
fn start_timeout_belongs_to_the_dependency_and_counts_from_its_start() {
    let auth = Container {
        health: Some(check(5, 1, 0)),
        start_timeout: Some(Duration::from_secs(8)),
        ..named("auth")
    };
    tell(
        pair(auth, Condition::Healthy),
        &[
            (0, "tick", "spawn auth"),
            (1000, "auth runs", ""),
            (6000, "tick", "probe auth"),
            (6100, "auth fails", "auth UNHEALTHY/1"),
            (8999, "tick", ""),
            (
                9000,
                "tick",
                "app = 143 CannotStartContainerError, stopping: TaskFailedToStart, term auth",
            ),
            (9001, "auth exits 0", "auth = 0, STOPPED"),
        ],
    );
}

#[test]
fn start_timeout_strikes_a_healthy_dependency_while_another_is_waited_for() {
    let auth = Container {
        health: Some(check(5, 1, 0)),
        start_timeout: Some(Duration::from_secs(8)),
        ..named("auth")
    };
    let mut containers = pair(auth, Condition::Healthy);
    containers.push(sidecar("init"));
    containers[1].depends_on.push(Need {
        on: 2,
        condition: Condition::Complete,
    });
    tell(
        containers,
        &[
            (0, "tick", "spawn auth, spawn init"),
            (0, "auth runs", ""),
            (0, "init runs", ""),
            (5000, "tick", "probe auth"),
            (5000, "auth passes", "auth HEALTHY/0"),
            (
                8000,
                "tick",
                "app = 143 CannotStartContainerError, stopping: TaskFailedToStart, term auth, term init",
            ),
        ],
    );
}

#[test]
fn a_dependent_of_an_unhealthy_container_waits_for_ever() {
    let auth = Container {
        health: Some(check(5, 1, 0)),
        ..sidecar("auth")
    };
    let state = tell(
        pair(auth, Condition::Healthy),
        &[
            (0, "tick", "spawn auth"),
            (0, "auth runs", ""),
            (5000, "tick", "probe auth"),
            (5000, "auth fails", "auth UNHEALTHY/1"),
            (5001, "auth exits 1", "auth = 1"),
            (9_999_999, "tick", ""),
        ],
    );
    assert_eq!(state.status(), TaskStatus::Pending);
    let stuck = state.waits_for_ever(1, Duration::from_secs(10_000));
    assert_eq!(
        stuck,
        Some(Need {
            on: 0,
            condition: Condition::Healthy
        })
    );
}

#[test]
fn failures_in_the_start_period_are_forgiven_until_a_verdict() {
    let app = Container {
        health: Some(check(5, 2, 12)),
        ..named("app")
    };
    tell(
        vec![app],
        &[
            (0, "tick", "spawn app"),
            (0, "app runs", "RUNNING"),
            (5000, "tick", "probe app"),
            (5000, "app fails", ""),
            (10000, "tick", "probe app"),
            // What counts is when the probe began.
            (12500, "app fails after 2500", ""),
            (17500, "tick", "probe app"),
            (17500, "app fails", "app UNKNOWN/1"),
            (22500, "tick", "probe app"),
            (22500, "app fails", "app UNHEALTHY/2"),
            (27500, "tick", "probe app"),
            (27500, "app passes", "app HEALTHY/0"),
        ],
    );
}

#[test]
fn a_failure_after_a_success_counts_even_in_the_start_period() {
    let app = Container {
        health: Some(check(5, 1, 100)),
        ..named("app")
    };
    tell(
        vec![app],
        &[
            (0, "tick", "spawn app"),
            (0, "app runs", "RUNNING"),
            (5000, "tick", "probe app"),
            (5000, "app passes", "app HEALTHY/0"),
            (10000, "tick", "probe app"),
            (10000, "app fails", "app UNHEALTHY/1"),
        ],
    );
}

#[test]
fn an_unhealthy_task_keeps_running() {
    let app = Container {
        health: Some(check(5, 1, 0)),
        ..named("app")
    };
    let state = tell(
        vec![app, sidecar("telemetry")],
        &[
            (0, "tick", "spawn app, spawn telemetry"),
            (0, "app runs", ""),
            (0, "telemetry runs", "RUNNING"),
            (5000, "tick", "probe app"),
            (5000, "app fails", "app UNHEALTHY/1"),
        ],
    );
    assert_eq!(
        (state.status(), state.health()),
        (TaskStatus::Running, Health::Unhealthy)
    );
}

#[test]
fn what_outlives_its_stop_timeout_is_killed() {
    let state = tell(
        vec![Container {
            stop_timeout: Duration::from_secs(2),
            ..named("app")
        }],
        &[
            (0, "tick", "spawn app"),
            (1, "app runs", "RUNNING"),
            (1000, "stop", "stopping: UserInitiated, term app"),
            (2999, "tick", ""),
            (3000, "tick", "kill app"),
            (3000, "tick", ""),
            (3001, "app exits 137", "app = 137, STOPPED"),
        ],
    );
    assert_eq!(state.view(0).unwrap().exit, Some(137));
}

#[test]
fn killing_keeps_no_order() {
    tell(
        chain(),
        &[
            (0, "tick", "spawn telemetry"),
            (1, "telemetry runs", "spawn app"),
            (2, "app runs", "spawn proxy"),
            (3, "proxy runs", "RUNNING"),
            (4, "stop", "stopping: UserInitiated, term proxy"),
            (5, "kill", "kill proxy, kill app, kill telemetry"),
            (6, "app exits 137", "app = 137"),
            (6, "proxy exits 137", "proxy = 137"),
            (6, "telemetry exits 137", "telemetry = 137, STOPPED"),
        ],
    );
}

#[test]
fn a_stop_while_starting_waits_for_the_start() {
    tell(
        chain(),
        &[
            (0, "tick", "spawn telemetry"),
            (
                1,
                "stop",
                "stopping: UserInitiated, proxy never ran, app never ran",
            ),
            (2, "telemetry runs", "term telemetry"),
            (3, "telemetry exits 0", "telemetry = 0, STOPPED"),
        ],
    );
}

#[test]
fn a_restart_needs_the_whole_period() {
    let app = Container {
        restart: Some(policy(60, &[9])),
        ..named("app")
    };
    let (early, late) = (59_999, 60_000);
    let story = |at, exit, then| {
        let lines = [
            (0, "tick", "spawn app"),
            (0, "app runs", "RUNNING"),
            (at, exit, then),
        ];
        tell(vec![app.clone()], &lines)
    };
    let gone = "app = 1, stopping: EssentialContainerExited, STOPPED";
    story(early, "app exits 1", gone);
    let state = story(late, "app exits 1", "spawn app");
    assert_eq!(
        (state.status(), state.view(0).unwrap().restarts),
        (TaskStatus::Running, 1)
    );
    story(late, "app exits 0", "spawn app");
    story(
        late,
        "app exits 9",
        "app = 9, stopping: EssentialContainerExited, STOPPED",
    );
}

#[test]
fn a_second_restart_counts_from_the_first() {
    tell(
        vec![Container {
            restart: Some(policy(60, &[])),
            ..named("app")
        }],
        &[
            (0, "tick", "spawn app"),
            (0, "app runs", "RUNNING"),
            (90_000, "app exits 1", "spawn app"),
            (91_000, "app runs", ""),
            (
                149_999,
                "app exits 1",
                "app = 1, stopping: EssentialContainerExited, STOPPED",
            ),
        ],
    );
}

#[test]
fn a_restart_forgets_health_and_old_probes() {
    let app = Container {
        restart: Some(policy(60, &[])),
        health: Some(check(30, 3, 0)),
        ..named("app")
    };
    let mut state = tell(
        vec![app],
        &[
            (0, "tick", "spawn app"),
            (0, "app runs", "RUNNING"),
            (30_000, "tick", "probe app"),
            (30_000, "app passes", "app HEALTHY/0"),
            (60_000, "tick", "probe app"),
            (60_001, "app exits 1", "spawn app"),
            (60_002, "app runs", ""),
        ],
    );
    let old = Event::Probed {
        container: 0,
        run: 1,
        began: Duration::from_mins(1),
        outcome: Outcome::Passed,
    };
    let deadline;
    (state, _, deadline) = step(state, old, Duration::from_millis(60_003));
    assert_eq!(state.health(), Health::Unknown);
    assert_eq!(deadline, Some(Duration::from_millis(90_002)));
}

#[test]
fn nothing_restarts_while_the_task_stops() {
    tell(
        vec![Container {
            restart: Some(policy(60, &[])),
            ..named("app")
        }],
        &[
            (0, "tick", "spawn app"),
            (0, "app runs", "RUNNING"),
            (90_000, "stop", "stopping: UserInitiated, term app"),
            (90_001, "app exits 143", "app = 143, STOPPED"),
        ],
    );
}

#[test]
fn running_out_of_memory_has_a_reason() {
    tell(
        vec![named("app")],
        &[
            (0, "tick", "spawn app"),
            (0, "app runs", "RUNNING"),
            (
                1,
                "app exits oom",
                "app = 137 OutOfMemoryError, stopping: EssentialContainerExited, STOPPED",
            ),
        ],
    );
}

#[test]
fn the_first_reason_to_stop_is_the_one_that_counts() {
    let state = tell(
        vec![named("app"), named("proxy")],
        &[
            (0, "tick", "spawn app, spawn proxy"),
            (0, "app runs", ""),
            (0, "proxy runs", "RUNNING"),
            (
                1,
                "proxy exits 5",
                "proxy = 5, stopping: EssentialContainerExited, term app",
            ),
            (2, "stop", ""),
            (3, "app exits 1", "app = 1, STOPPED"),
        ],
    );
    assert_eq!(state.stop().unwrap().guilty, Some(1));
}
