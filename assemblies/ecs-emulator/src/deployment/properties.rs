//! Whole deployments in simulated time, and properties of each second of them.

use std::time::Duration;

use proptest::prelude::*;

use super::config::{BreakerConfig, DeploymentConfig, Strategy as Shift};
use super::scheduler::{Event, Note, Outcome};
use super::status::Status;
use super::test_service::{Behaviour, TestService};

pub(super) fn with_breaker() -> DeploymentConfig {
    DeploymentConfig {
        breaker: BreakerConfig {
            is_enabled: true,
            rolls_back: true,
            ..BreakerConfig::default()
        },
        ..DeploymentConfig::default()
    }
}

pub(super) fn shifting(strategy: Shift) -> DeploymentConfig {
    DeploymentConfig {
        strategy,
        bake: Duration::from_mins(1),
        ..with_breaker()
    }
}

proptest! {
    #[test]
    fn a_rolling_deployment_keeps_its_limits_and_completes(
        desired in 0_u32..12,
        minimum in 0_u32..=100,
        extra in 1_u32..=100,
        delay in 1_u64..5,
    ) {
        let config = DeploymentConfig {
            minimum_healthy_percent: minimum,
            maximum_percent: (minimum + extra).max(100),
            ..with_breaker()
        };

        // The limits of DeploymentConfiguration: the minimum is rounded up, the maximum down.
        let at_least = (desired * minimum).div_ceil(100);
        let at_most = desired * config.maximum_percent / 100;
        let mut service = TestService::steady(desired, &config);
        service.deploy(2, Behaviour::Works(delay), &config);

        for _ in 0..200 {
            let (active, healthy) = service.counts();
            prop_assert!(active <= at_most, "{active} active, {at_most} allowed");
            prop_assert!(healthy >= at_least, "{healthy} healthy, {at_least} needed");
            service.second();
        }

        if service.notes.contains(&Note::Stuck) {
            // Only then neither limit leaves room for a single task.
            prop_assert!(at_least == desired && at_most == desired);
        } else {
            prop_assert_eq!(service.status(), Status::Successful);
            prop_assert_eq!(service.revisions(), vec![2; desired as usize]);
        }
    }

    #[test]
    fn a_failing_revision_is_rolled_back(
        desired in 1_u32..9,
        fails_checks: bool,
        strategy in 0_usize..2,
    ) {
        let config = match strategy {
            0 => with_breaker(),
            _ => shifting(Shift::BlueGreen),
        };

        let bad = if fails_checks { Behaviour::FailsChecks } else { Behaviour::Exits(1) };
        let mut service = TestService::steady(desired, &config);
        service.deploy(2, bad, &config);

        for _ in 0..300 {
            prop_assert!(service.counts().1 >= desired, "the old revision goes on");
            service.second();
        }

        prop_assert_eq!(service.status(), Status::RollbackSuccessful);
        prop_assert_eq!(service.revisions(), vec![1; desired as usize]);
        // A rollback completes, too: the one that EventBridge hears of last.
        let expected = [Outcome::InProgress, Outcome::Failed, Outcome::Completed];
        prop_assert_eq!(&service.outcomes[..], &expected[..]);
        prop_assert!(service.notes.contains(&Note::SteadyState));
    }

    #[test]
    fn weights_add_up_and_never_point_at_a_revision_that_is_not_ready(
        step in 30_u32..1000,
        bake in 0_u64..100,
        is_canary: bool,
    ) {
        let (percent, bake) = (f64::from(step) / 10.0, Duration::from_secs(bake));
        let strategy = if is_canary {
            Shift::Canary { percent, bake }
        } else {
            Shift::Linear { step_percent: percent, bake }
        };

        let config = shifting(strategy);
        let mut service = TestService::steady(2, &config);
        service.deploy(2, Behaviour::Works(5), &config);

        let mut last = 0;

        for _ in 0..4000 {
            let weights = service.scheduler.weights().unwrap_or_default();
            let total: f64 = weights.iter().map(|(_, production, _)| production).sum();
            prop_assert!((total - 100.0).abs() < 1e-9);
            let weight = service.production();
            prop_assert!(weight >= last && (weight == 0 || service.counts().1 >= 2));
            last = weight;
            service.second();
        }

        prop_assert_eq!(service.status(), Status::Successful);
        prop_assert_eq!(service.revisions(), [2, 2]);
    }

    #[test]
    fn any_order_of_updates_ends_in_the_last_one(
        updates in prop::collection::vec((0_u32..6, 0_u64..20, any::<bool>()), 1..8),
    ) {
        let mut service = TestService::steady(2, &with_breaker());
        for (index, (desired, pause, is_rolling)) in updates.iter().enumerate() {
            let config = if *is_rolling { with_breaker() } else { shifting(Shift::BlueGreen) };
            service.send(Event::Desired(*desired));
            service.deploy(index as u64 + 2, Behaviour::Works(2), &config);
            service.run_for(*pause);
        }

        // Longer than any pause between attempts and any bake time here.
        service.run_for(300);

        let desired = updates.last().map_or(0, |last| last.0);
        prop_assert_eq!(service.status(), Status::Successful);
        prop_assert_eq!(service.revisions(), vec![updates.len() as u64 + 1; desired as usize]);
    }
}

#[test]
fn the_first_deployment_fails_without_a_rollback() {
    let mut service = TestService::new(2);
    service.deploy(1, Behaviour::Exits(1), &with_breaker());
    service.run_for(100);
    assert_eq!(service.status(), Status::Stopped);

    service.started = 0;
    service.run_for(100);
    assert_eq!(service.started, 0, "a failed deployment starts nothing");
}

#[test]
fn without_a_breaker_tasks_are_retried_with_growing_pauses() {
    let mut service = TestService::new(1);
    service.deploy(1, Behaviour::Exits(1), &DeploymentConfig::default());
    service.run_for(20);
    // At 0, 1, 3, 7 and 15 seconds: a second of work, and pauses of 0, 1, 3 and 7 seconds.
    assert_eq!(service.started, 5);
    assert_eq!(service.notes, [Note::Unstable]);

    // As if an image that was missing had been pushed.
    service.behaviours.insert(1, Behaviour::Works(1));
    service.run_for(70);
    assert_eq!(service.status(), Status::Successful);
}

#[test]
fn a_task_that_ends_is_replaced() {
    let mut service = TestService::steady(2, &DeploymentConfig::default());
    let task = *service.scheduler.tasks.keys().next().unwrap();
    service.send(Event::Stopping {
        task,
        is_failure: false,
    });
    service.send(Event::Stopped(task));
    service.run_for(5);
    assert_eq!(service.counts(), (2, 2));
    assert_eq!(service.notes, [Note::SteadyState]);
}

#[test]
fn a_task_without_health_check_counts_after_40_seconds() {
    let mut service = TestService::new(1);
    service.deploy(1, Behaviour::Works(1000), &DeploymentConfig::default());
    service.send(Event::Running {
        task: 1,
        is_checked: false,
    });
    service.run_for(39);
    assert_eq!(service.status(), Status::InProgress);
    service.run_for(1);
    assert_eq!(service.status(), Status::Successful);
}

#[test]
fn a_canary_waits_at_its_share() {
    let bake = Duration::from_mins(10);
    let config = shifting(Shift::Canary { percent: 5.0, bake });
    let mut service = TestService::steady(2, &config);
    service.deploy(2, Behaviour::Works(1), &config);
    service.run_for(500);
    assert_eq!(
        service.scheduler.weights().unwrap(),
        [(1, 95.0, 0.0), (2, 5.0, 100.0)]
    );

    // Both revisions have all their tasks meanwhile.
    assert_eq!(service.revisions().len(), 4);

    service.run_for(102);
    assert_eq!(service.production(), 1000);
    assert_eq!(service.status(), Status::InProgress, "both revisions bake");
    service.run_for(62);
    assert_eq!(service.status(), Status::Successful);
}

#[test]
fn a_stopped_deployment_gives_the_traffic_back_at_once() {
    let bake = Duration::from_mins(10);
    let config = shifting(Shift::Linear {
        step_percent: 20.0,
        bake,
    });

    let mut service = TestService::steady(2, &config);
    service.deploy(2, Behaviour::Works(1), &config);
    service.run_for(700);
    assert_eq!(service.production(), 400);

    service.send(Event::StopDeployment);
    assert_eq!(service.production(), 0);
    assert_eq!(service.status(), Status::RollbackInProgress);
    service.run_for(3);
    assert_eq!(service.status(), Status::RollbackSuccessful);
    assert_eq!(service.revisions(), [1, 1]);
}
