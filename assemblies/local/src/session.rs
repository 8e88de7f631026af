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
use super::events::{EventSink, Processes, deliver};
use super::metadata::{self, Metadata};
use super::network::Forwards;
use super::run_dir::{Binding, HealthCriterion, RunDir};
use super::target::Target;
use super::{json, ready, replicas, task_process, watch};
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
    plan: RunPlan,
    target: Target,
    (bindings, forwards): (&[Binding], Forwards),
    options: &Options,
    project: &Project,
    credentials: impl Future<Output = Result<Option<CredentialsSource>, Error>>,
    ui: &dyn Messages,
) -> Result<Report, Error> {
    let mut signals = Signals::new().map_err(|failure| Error::Usage(failure.to_string()))?;

    // Before the task's clock starts: asking for credentials may take seconds.
    let source = tokio::select! {
        source = credentials => source?,
        () = signals.next() => return Ok(Report {
            exit_code: NOT_RUNNING,
            task: None,
            folder: plan.folder,
        }),
    };

    let (control, control_receiver) = mpsc::channel(CONTROL_BUFFER);
    let mut session = Session {
        options,
        project,
        ui,
        socket: ControlSocket::open(&plan.folder),
        folder: plan.folder.clone(),
        target,
        signals,
        control,
        cause: StopCause::Nothing,
        is_ready: false,
    };
    if options.role.is_child() {
        replicas::stop_with_service(&session.folder);
    }

    let (plan, metadata, sink) = session.open_outputs(plan, (bindings, forwards), source);
    // Boxed: the future is large.
    let task = Box::pin(session.run_task(plan, sink, control_receiver));
    let finished = task.await?;
    drop(metadata);

    Ok(Report {
        exit_code: session.exit_code(&finished),
        task: Some(finished),
        folder: session.folder,
    })
}

/// A task that runs: what may stop it, and what is known about it.
struct Session<'a> {
    options: &'a Options,
    project: &'a Project,
    ui: &'a dyn Messages,
    target: Target,
    folder: PathBuf,
    signals: Signals,
    socket: ControlSocket,
    control: mpsc::Sender<Control>,
    cause: StopCause,
    is_ready: bool,
}

impl Session<'_> {
    /// Starts the metadata endpoint and the records of the run directory. Returns the plan with the endpoint's
    /// variables, and the sink for the task's events.
    fn open_outputs(
        &self,
        mut plan: RunPlan,
        (bindings, forwards): (&[Binding], Forwards),
        source: Option<CredentialsSource>,
    ) -> (RunPlan, Option<Metadata>, Box<dyn EventSink>) {
        let role = &self.options.role;
        let view = metadata::view(&plan, &self.target, role);
        let record = json::TaskRecord::new(&view, &plan.folder, role);
        let sink = self
            .ui
            .event_sink(&plan.definition, &record, role.replica());

        // Each sink wraps the one before: an event closes ports, updates the metadata, is printed and then recorded.
        let sink: Box<dyn EventSink> = Box::new(RunDir::new(
            &plan.definition,
            record,
            &self.folder,
            bindings,
            sink,
        ));
        let outputs = (self.folder.as_path(), self.ui);
        let metadata = Metadata::open(&mut plan, &self.target, view, role, source, outputs);
        let sink = match &metadata {
            Some(metadata) => metadata.before(sink),
            None => sink,
        };

        // Published ports close before an event is printed, so that a client which reads it sees them closed.
        let sink = forwards.before(&plan.definition, sink);
        (plan, metadata, sink)
    }

    /// Runs the task, and returns once it has ended and all its events are printed.
    async fn run_task(
        &mut self,
        plan: RunPlan,
        sink: Box<dyn EventSink>,
        control: mpsc::Receiver<Control>,
    ) -> Result<TaskReport, Error> {
        let healthy = if self.options.until_healthy {
            HealthCriterion::from_definition(&plan.definition)
        } else {
            HealthCriterion::Running
        };
        let processes = Processes::default();
        let waiting = ready::ReadinessWait::new(&plan, &self.target, processes.clone());
        let (events, event_receiver) = mpsc::channel(EVENT_BUFFER);
        let handle = tokio::runtime::Handle::current();

        // A separate thread: a terminal that blocks must not delay signals.
        let (send_running, running) = oneshot::channel();
        let printer = thread::spawn(move || {
            deliver(
                &handle,
                event_receiver,
                sink,
                &processes,
                send_running,
                healthy,
            );
        });
        let _watch = self
            .options
            .watch
            .then(|| watch::start(&plan, self.control.clone()));

        let task = run(plan, events, control);
        let ready = waiting.all(running);
        let timed_out = sleep_until(Instant::now() + self.limit());
        tokio::pin!(task, ready, timed_out);

        let finished = loop {
            tokio::select! {
                finished = &mut task => break finished,
                () = &mut ready, if !self.is_ready => self.handle_ready().await,
                () = &mut timed_out, if self.cause == StopCause::Nothing => {
                    self.stop_because(StopCause::TimedOut, "Task stopped: timed out").await;
                }
                command = next_command(&mut self.signals, &self.socket, self.cause) => {
                    self.handle_command(command).await;
                }
            }
        };

        let finished = finished.map_err(|failure| Error::Usage(failure.to_string()))?;
        // The caller's summary comes after the last event line.
        let _ = printer.join();
        Ok(finished)
    }

    /// Returns the time after which the task is stopped. For a replica the service watches the timeout.
    fn limit(&self) -> Duration {
        self.options
            .timeout
            .or(self.is_smoke_test().then_some(SMOKE_TEST_TIMEOUT))
            .filter(|_| !self.options.role.is_child())
            .unwrap_or(NEVER)
    }

    /// Returns whether the run ends once all containers are ready.
    fn is_smoke_test(&self) -> bool {
        self.options.until_ready || self.options.until_healthy
    }

    /// Prints a sample command once all containers are ready, or ends a smoke test.
    async fn handle_ready(&mut self) {
        self.is_ready = true;
        match (self.is_smoke_test(), self.options.role.is_replica()) {
            (false, false) if !self.options.json && self.target.serves => {
                ready::print_curl_hint(&self.target, self.project, self.ui);
            }
            (true, true) => task_process::mark_passed(&self.folder),
            (true, false) if self.cause == StopCause::Nothing => {
                self.stop_because(StopCause::Ready, "Task stopped: it was ready")
                    .await;
            }
            _ => {}
        }
    }

    /// Passes a command on to the task. While it stops, only a command that leaves less time has an effect.
    async fn handle_command(&mut self, command: ControlCommand) {
        let leaves_less_time = matches!(command, ControlCommand::Kill | ControlCommand::Spot);
        if self.cause != StopCause::Nothing && !leaves_less_time {
            return;
        }

        self.cause = match command {
            ControlCommand::Kill => StopCause::Kill,
            _ if self.cause == StopCause::Nothing => StopCause::Stop,
            _ => self.cause,
        };
        self.ask(to_control(command)).await;
    }

    async fn stop_because(&mut self, cause: StopCause, reason: &str) {
        self.cause = cause;
        self.ask(stop(reason)).await;
    }

    /// Sends a command to the runner. It fails only if the task has ended, and then there is nothing to do.
    async fn ask(&self, command: Control) {
        let _ = self.control.send(command).await;
    }

    /// Returns the exit code of the run.
    fn exit_code(&self, finished: &TaskReport) -> u8 {
        match (&self.options.exit_code_from, self.cause) {
            (Some(name), StopCause::Nothing | StopCause::Ready | StopCause::Stop) => {
                container_exit_code(finished, name)
            }
            _ => task_exit_code(finished, self.cause),
        }
    }
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
