//! Hooks, alarms, early success, limits and protection, each in simulated time.

use std::time::Duration;

use super::config::{
    AlarmConfig, Cleanup, DeploymentConfig, EarlySuccess, Hook, Strategy as Shift, TimeoutAction,
};
use super::hooks::HookStatus;
use super::properties::{shifting, with_breaker};
use super::scheduler::{Event, Note};
use super::status::{Stage, Status};
use super::test_service::{Behaviour, TestService};

fn pausing(strategy: Shift, stage: Stage, action: TimeoutAction) -> DeploymentConfig {
    let hook = Hook {
        function: None,
        stages: vec![stage],
        timeout: Duration::from_mins(10),
        timeout_action: action,
    };
    DeploymentConfig {
        hooks: vec![hook],
        ..shifting(strategy)
    }
}

#[test]
fn a_pause_waits_for_its_answer() {
    let stage = Stage::PostTestTrafficShift;
    let config = pausing(Shift::BlueGreen, stage, TimeoutAction::Rollback);
    let mut service = TestService::steady(1, &with_breaker());
    service.deploy(2, Behaviour::Works(1), &config);
    service.run_for(500);
    let deployment = service.scheduler.current().unwrap();
    assert_eq!(
        (deployment.stage, deployment.production_weight),
        (stage, 0.0)
    );

    assert_eq!(deployment.hooks[0].status, HookStatus::AwaitingAction);

    let hook = deployment.hooks[0].number;
    service.send(Event::Answer {
        hook,
        action: TimeoutAction::Continue,
    });

    assert_eq!(service.production(), 1000);
    service.run_for(70);
    assert_eq!(service.status(), Status::Successful);
}

#[test]
fn a_pause_without_answer_ends_as_configured() {
    for (action, status) in [
        (TimeoutAction::Rollback, Status::RollbackSuccessful),
        (TimeoutAction::Continue, Status::Successful),
    ] {
        let config = pausing(Shift::Rolling, Stage::PreScaleUp, action);
        let mut service = TestService::steady(1, &with_breaker());
        service.deploy(2, Behaviour::Works(1), &config);
        service.run_for(590);
        assert_eq!(service.revisions(), [1]);
        service.run_for(100);
        assert_eq!(service.status(), status);
    }
}

#[test]
fn each_step_of_a_linear_shift_has_its_hooks() {
    let strategy = Shift::Linear {
        step_percent: 50.0,
        bake: Duration::ZERO,
    };

    let stage = Stage::PreProductionTrafficShift;
    let config = pausing(strategy, stage, TimeoutAction::Rollback);
    let mut service = TestService::steady(1, &with_breaker());
    service.deploy(2, Behaviour::Works(1), &config);
    service.run_for(5);

    let mut weights = Vec::new();

    for _ in 0..2 {
        let hook = service.scheduler.current().unwrap().hooks[0].number;
        service.send(Event::Answer {
            hook,
            action: TimeoutAction::Continue,
        });
        weights.push(service.production());
    }

    assert_eq!(weights, [500, 1000]);
}

#[test]
fn an_alarm_ends_a_deployment() {
    let names = vec!["errors".to_owned()];
    let config = DeploymentConfig {
        alarms: AlarmConfig {
            is_enabled: true,
            rolls_back: true,
            names: names.clone(),
        },
        ..shifting(Shift::BlueGreen)
    };

    let mut service = TestService::steady(1, &with_breaker());
    service.deploy(2, Behaviour::Works(1), &config);
    service.run_for(10);
    service.send(Event::Alarms(vec!["latency".to_owned()]));
    assert_eq!(service.status(), Status::InProgress);

    service.send(Event::Alarms(names));
    service.run_for(10);
    assert_eq!(service.status(), Status::RollbackSuccessful);
}

#[test]
fn early_success_does_not_wait_for_all_tasks() {
    let config = DeploymentConfig {
        minimum_healthy_percent: 50,
        early_success: Some(EarlySuccess {
            healthy_percent: 50,
            cleanup: Cleanup::Deferred,
        }),
        ..with_breaker()
    };

    let mut service = TestService::steady(4, &with_breaker());
    service.deploy(2, Behaviour::Works(100), &config);
    let new: Vec<u64> = service
        .scheduler
        .tasks
        .keys()
        .rev()
        .take(2)
        .copied()
        .collect();

    for task in new {
        service.send(Event::Healthy(task));
    }

    assert_eq!(service.status(), Status::Successful);
    service.run_for(110);
    assert_eq!(service.revisions(), [2; 4]);
}

#[test]
fn limits_that_allow_nothing_are_reported_once() {
    let config = DeploymentConfig {
        maximum_percent: 100,
        ..DeploymentConfig::default()
    };
    let mut service = TestService::steady(2, &config);
    service.deploy(2, Behaviour::Works(1), &config);
    service.run_for(50);
    assert_eq!(service.notes, [Note::Stuck]);
    assert_eq!(service.revisions(), [1, 1]);
}

#[test]
fn protected_tasks_outlive_a_deployment_and_a_scale_in() {
    let mut service = TestService::steady(2, &with_breaker());
    let first = *service.scheduler.tasks.keys().next().unwrap();
    service.scheduler.set_protected([first].into());
    service.deploy(2, Behaviour::Works(1), &with_breaker());
    service.run_for(20);
    assert_eq!(service.revisions(), [1, 2, 2]);
    assert_eq!(service.status(), Status::InProgress);

    service.scheduler.set_protected([].into());
    service.run_for(5);
    assert_eq!(service.revisions(), [2, 2]);
    assert_eq!(service.status(), Status::Successful);
}
