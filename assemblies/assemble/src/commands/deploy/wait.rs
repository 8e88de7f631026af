//! Carries out a plan and waits for the deployment. A signal ends the wait, but not the deployment.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::time::Duration;

use ecs_client::{DeployEvent, FollowWait, Plan, ServiceName, StartedDeployment, Update, follow};

use super::WaitArguments;
use super::report::{self, Reporter};
use crate::commands::remote::{Connection, Signals};
use crate::error::CliError;
use crate::ui::Ui;

/// The signals, and how long to wait.
#[derive(Debug)]
pub(crate) struct Waiting {
    signals: RefCell<Signals>,
    arguments: WaitArguments,
    phase: Cell<Phase>,
}

/// How far a deploy has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was changed.
    Reading,
    /// A revision was registered, which nothing uses yet.
    Registered,
    /// UpdateService was called, but its response is not known.
    Updating,
    /// The deployment is in progress.
    Following,
}

impl Waiting {
    pub(crate) fn new(arguments: &WaitArguments) -> Result<Self, CliError> {
        Ok(Self {
            signals: RefCell::new(Signals::new()?),
            arguments: arguments.clone(),
            phase: Cell::new(Phase::Reading),
        })
    }

    /// Waits for the work, or returns the exit code of a signal.
    #[expect(
        clippy::await_holding_refcell_ref,
        reason = "only one wait at a time uses the signals"
    )]
    pub(crate) async fn interruptible<T, E: Into<CliError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        ui: &Ui,
    ) -> Result<Result<T, u8>, CliError> {
        let mut signals = self.signals.borrow_mut();
        tokio::select! {
            outcome = work => Ok(Ok(outcome.map_err(Into::into)?)),
            code = signals.next() => {
                if self.phase.get() == Phase::Reading {
                    ui.message("interrupted; nothing was changed");
                }
                Ok(Err(code))
            }
        }
    }

    fn explain(&self, service: &ServiceName, ui: &Ui) {
        let look = format!(
            "to look: assemble status {service}; to go back: assemble rollback --service {service}"
        );
        match self.phase.get() {
            Phase::Reading => {}
            Phase::Registered => {
                ui.message("interrupted; a revision was registered, but the service was not changed");
            }
            Phase::Updating => ui.message(&format!(
                "interrupted; the service may have been updated, and the deployment then goes on; {look}"
            )),
            Phase::Following => {
                ui.message(&format!("interrupted; the deployment goes on on AWS; {look}"));
            }
        }
    }
}

/// Carries out a plan and waits until the deployment has ended. Returns the exit code.
pub(crate) async fn apply(
    plan: Plan,
    connection: &Connection,
    service: &ServiceName,
    waiting: Waiting,
    ui: &Ui,
) -> Result<u8, CliError> {
    let reporter = RefCell::new(Reporter::new(service, ui));
    let on_event = |event: DeployEvent<'_>| {
        match event {
            DeployEvent::Registered { .. } => waiting.phase.set(Phase::Registered),
            DeployEvent::Updating { .. } => waiting.phase.set(Phase::Updating),
            DeployEvent::State { .. } | DeployEvent::InProgress { .. } => {
                waiting.phase.set(Phase::Following);
            }
            _ => {}
        }
        reporter.borrow_mut().print(event);
    };

    let work = plan.apply(connection, service, POLL_INTERVAL, on_event);
    let update = match waiting.interruptible(work, ui).await {
        Ok(Ok(update)) => update,
        Ok(Err(code)) => {
            waiting.explain(service, ui);
            return Ok(code);
        }
        Err(error) => return Err(with_phase(error, &waiting)),
    };

    let started = match update {
        Update::Unchanged { revision } => {
            ui.message(&format!(
                "{service} runs {revision} already; nothing was done"
            ));
            return Ok(0);
        }
        Update::Started(started) => started,
    };

    if waiting.arguments.no_wait {
        ui.data(&format!("{}\n", started.revision));
        ui.message(&format!(
            "the deployment goes on; to look: assemble status {service}"
        ));
        return Ok(0);
    }
    wait(&started, connection, service, &waiting, on_event, ui).await
}

/// Waits until the deployment has ended, or for a signal.
async fn wait(
    started: &StartedDeployment,
    connection: &Connection,
    service: &ServiceName,
    waiting: &Waiting,
    on_event: impl FnMut(DeployEvent<'_>),
    ui: &Ui,
) -> Result<u8, CliError> {
    waiting.phase.set(Phase::Following);
    let wait = FollowWait {
        timeout: waiting.arguments.timeout,
        interval: POLL_INTERVAL,
    };
    let work = follow(connection, service, started, wait, on_event);
    match waiting.interruptible(work, ui).await? {
        Ok(outcome) => report::finish(&outcome, service, &started.revision, ui),
        Err(code) => {
            waiting.explain(service, ui);
            Ok(code)
        }
    }
}

/// Says that a call which failed may have had an effect.
fn with_phase(error: CliError, waiting: &Waiting) -> CliError {
    match (error, waiting.phase.get()) {
        (CliError::Refused(message), Phase::Registered) => CliError::Refused(format!(
            "{message}\nthe service was not changed; the registered revision is used by the next `assemble deploy`"
        )),
        (CliError::Refused(message), Phase::Updating | Phase::Following) => {
            CliError::Refused(format!(
                "{message}\nthe service may have been updated; run the same command again to find out and to wait"
            ))
        }
        (error, _) => error,
    }
}

/// More frequent calls would count against the limits of the account.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
