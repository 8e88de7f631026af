//! Runs a local task until it ends or is stopped.

use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use task_runner::machine::StopCode;
use task_runner::metadata::CredentialsSource;
use task_runner::{Control, RunPlan, TaskReport, run};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::control_socket::{ControlCommand, ControlSocket};
use super::events::{EventSink, deliver};
use super::metadata::{self, Metadata};
use super::network::Forwards;
use super::run_dir::{Binding, HealthCriterion, RunDir};
use super::target::Target;
use super::{json, ready, replicas, watch};
use crate::{Error, Messages, Options, Project};

/// Why the task was stopped, if it did not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopCause {
    Nothing,
    /// All containers were ready, and the run was a smoke test.
    Ready,
    /// It timed out.
    TimedOut,
    /// A signal, or `assemble stop`.
    Stop,
    /// A second signal, or `assemble stop --force`.
    Kill,
}

/// How a run ended.
#[derive(Debug)]
pub struct Report {
    /// The run's exit code.
    pub exit_code: u8,
    /// How the task ended, unless it was stopped before it was created.
    pub task: Option<TaskReport>,
    /// The run directory.
    pub folder: PathBuf,
}

/// Runs a plan until the task has ended.
pub(super) async fn run_session(
    mut plan: RunPlan,
    target: Target,
    (bindings, forwards): (&[Binding], Forwards),
    options: &Options,
    project: &Project,
    credentials: impl Future<Output = Result<Option<CredentialsSource>, Error>>,
    ui: &dyn Messages,
) -> Result<Report, Error> {
    let mut signals = Signals::new().map_err(|failure| Error::Usage(failure.to_string()))?;
    let (events, event_receiver) = mpsc::channel(EVENT_BUFFER);
    let (control, control_receiver) = mpsc::channel(CONTROL_BUFFER);

    // Before the task's clock starts: asking for credentials may take seconds.
    let source = tokio::select! {
        source = credentials => source?,
        () = signals.next() => return Ok(Report {
            exit_code: NOT_RUNNING,
            task: None,
            folder: plan.folder,
        }),
    };
    let view = metadata::view(&plan, &target);
    let record = json::TaskRecord::new(&view, &plan.folder);
    let number = replicas::number();
    let sink = ui.event_sink(&plan.definition, &record, number.as_deref());

    let folder = plan.folder.clone();
    let socket = ControlSocket::open(&folder);
    if number.is_some() {
        replicas::stop_with_service(&folder);
    }

    // Each sink wraps the one before: an event closes ports, updates the metadata, is printed and then recorded.
    let sink: Box<dyn EventSink> = Box::new(RunDir::new(
        &plan.definition,
        record,
        &folder,
        bindings,
        sink,
    ));
    let metadata = Metadata::open(&mut plan, &target, view, source, ui);
    let sink = match &metadata {
        Some(metadata) => metadata.before(sink),
        None => sink,
    };

    // Published ports close before an event is printed, so that a client which reads it sees them closed.
    let sink = forwards.before(&plan.definition, sink);
    let healthy = if options.until_healthy {
        HealthCriterion::from_definition(&plan.definition)
    } else {
        HealthCriterion::Running
    };

    let waiting = ready::ReadinessWait::new(&plan, &target);
    let handle = tokio::runtime::Handle::current();

    // A separate thread: a terminal that blocks must not delay signals.
    let (send_running, running) = oneshot::channel();
    let printer = thread::spawn(move || {
        deliver(&handle, event_receiver, sink, send_running, healthy);
    });
    let _watch = options.watch.then(|| watch::start(&plan, control.clone()));
    let task = run(plan, events, control_receiver);

    tokio::pin!(task);

    let is_smoke_test = options.until_ready || options.until_healthy;
    let ready = waiting.all(running);
    tokio::pin!(ready);

    // For a replica the service watches the timeout.
    let limit = options
        .timeout
        .or(is_smoke_test.then_some(SMOKE_TEST_TIMEOUT))
        .filter(|_| number.is_none());
    let timed_out = sleep_until(Instant::now() + limit.unwrap_or(NEVER));
    tokio::pin!(timed_out);

    let (mut cause, mut is_ready) = (StopCause::Nothing, false);
    let finished = loop {
        tokio::select! {
            finished = &mut task => break finished,
            () = &mut ready, if !is_ready => {
                is_ready = true;
                if !options.json && !is_smoke_test && target.serves && number.is_none() {
                    ready::print_curl_hint(&target, project, ui);
                }
                if is_smoke_test && number.is_some() {
                    replicas::mark_passed(&folder);
                } else if is_smoke_test && cause == StopCause::Nothing {
                    cause = StopCause::Ready;
                    ask(&control, stop("Task stopped: it was ready")).await;
                }
            }
            () = &mut timed_out, if cause == StopCause::Nothing => {
                cause = StopCause::TimedOut;
                ask(&control, stop("Task stopped: timed out")).await;
            }
            command = next_command(&mut signals, &socket, cause) => {
                // While stopping, only a command that leaves less time has an effect.
                if cause != StopCause::Nothing && !matches!(command, ControlCommand::Kill | ControlCommand::Spot) {
                    continue;
                }
                cause = match command {
                    ControlCommand::Kill => StopCause::Kill,
                    _ if cause == StopCause::Nothing => StopCause::Stop,
                    _ => cause,
                };
                ask(&control, to_control(command)).await;
            }
        }
    };

    let finished = finished.map_err(|failure| Error::Usage(failure.to_string()))?;
    // The caller's summary comes after the last event line.
    let _ = printer.join();
    drop(socket);
    let exit_code = match (&options.exit_code_from, cause) {
        (Some(name), StopCause::Nothing | StopCause::Ready | StopCause::Stop) => {
            container_exit_code(&finished, name)
        }
        _ => task_exit_code(&finished, cause),
    };

    Ok(Report {
        exit_code,
        task: Some(finished),
        folder,
    })
}

/// Returns the exit code of one container; 1 if it never ran or its code is unknown.
fn container_exit_code(finished: &TaskReport, name: &str) -> u8 {
    let container = finished
        .containers
        .iter()
        .find(|container| container.name == name);
    let code = container
        .and_then(|container| container.exit_code)
        .unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// Waits for a signal or a command. A second signal kills; a second `stop` changes nothing.
async fn next_command(
    signals: &mut Signals,
    socket: &ControlSocket,
    cause: StopCause,
) -> ControlCommand {
    tokio::select! {
        () = signals.next() => if cause == StopCause::Nothing { ControlCommand::Stop } else { ControlCommand::Kill },
        command = socket.next() => command,
    }
}

/// Returns the exit code of the task, as a shell would report it.
fn task_exit_code(finished: &TaskReport, cause: StopCause) -> u8 {
    let own = finished.exit_code();
    let code = match cause {
        // A container ended the task before the stop took effect.
        _ if finished.cause.is_some() => own,
        // As `timeout` of coreutils.
        StopCause::TimedOut => 124,
        // 128 + SIGKILL.
        StopCause::Kill => 137,
        StopCause::Stop if !finished.was_running => NOT_RUNNING.into(),
        _ => own,
    };
    u8::try_from(code).unwrap_or(1)
}

fn stop(reason: &str) -> Control {
    Control::Stop {
        code: StopCode::UserInitiated,
        reason: reason.into(),
    }
}

/// Converts a command, with the stop code and reason that ECS uses.
fn to_control(command: ControlCommand) -> Control {
    let stop = |code, reason: &str| Control::Stop {
        code,
        reason: reason.into(),
    };

    match command {
        ControlCommand::Stop => stop(StopCode::UserInitiated, "Task stopped by user"),
        ControlCommand::Kill => Control::Kill {
            reason: "Task killed by user".into(),
        },
        ControlCommand::Spot => stop(
            StopCode::SpotInterruption,
            "Your Spot Task was interrupted.",
        ),
        ControlCommand::Unhealthy => stop(
            StopCode::ServiceSchedulerInitiated,
            "Task failed container health checks",
        ),
    }
}

/// Sends a command to the runner. It fails only if the task has ended, and then there is nothing to do.
async fn ask(control: &mpsc::Sender<Control>, command: Control) {
    let _ = control.send(command).await;
}

/// SIGINT, SIGTERM and SIGHUP: all stop the task.
pub(super) struct Signals([Signal; 3]);

impl Signals {
    /// Starts to receive the signals.
    pub(super) fn new() -> io::Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    /// Waits for the next signal.
    pub(super) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Exit code of a task stopped before it was RUNNING: 128 + SIGINT.
const NOT_RUNNING: u8 = 130;
const EVENT_BUFFER: usize = 4096;
const CONTROL_BUFFER: usize = 4;
/// Timeout of a smoke test without `--timeout`.
pub(super) const SMOKE_TEST_TIMEOUT: Duration = Duration::from_mins(1);
const NEVER: Duration = Duration::from_hours(10 * 365 * 24);
