//! One run of a container, from its start until all its processes have ended.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use crate::Stream;
use crate::container_log::ContainerLog;
use crate::init::OWN_NAMESPACE;
use crate::launch::Launch;
use crate::machine::ExitCode;
use crate::process_tree::kill_orphaned_container;

/// A command to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessCommand {
    Terminate,
    Kill,
}

/// An event of a run.
#[derive(Debug)]
pub(crate) enum ProcessEvent {
    /// The first process runs.
    Started {
        pid: u32,
        /// It should be PID 1 of a new namespace, but the host granted none.
        lacks_pid_namespace: bool,
        /// Output is read once this is dropped, so that no line precedes the start.
        output_gate: oneshot::Sender<()>,
    },
    Failed {
        reason: String,
    },
    Exited {
        code: Option<ExitCode>,
    },
}

/// How long the processes may take to die after a kill.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long reading the rest of the output may take. All processes that held the pipes are dead by then.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts a process and supervises it until it ends.
///
/// Reports `Started` or `Failed` first, and `Exited` last, after all output has been read.
pub(crate) async fn supervise<Reported: Future<Output = ()>>(
    launch: Launch,
    log: Arc<ContainerLog>,
    mut commands: mpsc::Receiver<ProcessCommand>,
    report: impl Fn(ProcessEvent) -> Reported,
) {
    let program = launch.program().display();
    let (mut child, socket) = match launch.start() {
        Ok(started) => started,
        Err(error) => {
            let why = format!("cannot run `{program}`: {error}");
            return report(cannot_start(&why)).await;
        }
    };

    let (from_init, to_init) = socket.into_split();
    let mut init = InitConnection {
        lines: BufReader::new(from_init).lines(),
        to_init,
        give_up_at: None,
    };
    let (pid, namespace) = match init.next(&mut commands).await {
        Some(InitMessage::Started(pid, namespace)) => (pid, namespace),
        message => {
            // Init writes its own errors to stderr: they belong in the log.
            let readers = read_output(&mut child, &log);
            drain(&mut child, readers).await;
            let why = match message {
                Some(InitMessage::Failed(error)) => format!("cannot run `{program}`: {error}"),
                _ => "its init did not start".to_owned(),
            };
            return report(cannot_start(&why)).await;
        }
    };

    let (output_gate, gate_opened) = oneshot::channel();
    let lacks_pid_namespace = launch.wants_own_pid_namespace() && namespace != OWN_NAMESPACE;
    report(ProcessEvent::Started {
        pid,
        lacks_pid_namespace,
        output_gate,
    })
    .await;

    // An error means that the sender was dropped, which is the signal.
    let _ = gate_opened.await;
    let readers = read_output(&mut child, &log);
    let code = if let Some(InitMessage::Exited(code)) = init.next(&mut commands).await {
        code
    } else {
        // Init was killed from outside; its container must not outlive it.
        kill_orphaned_container(pid);
        137
    };

    drop(init);
    // A full pipe blocks its writer, so the output is read to its end before the exit is reported.
    drain(&mut child, readers).await;
    report(ProcessEvent::Exited { code: Some(code) }).await;
}

/// Returns the event of a container without a process, with the reason as ECS words it.
fn cannot_start(why: &str) -> ProcessEvent {
    ProcessEvent::Failed {
        reason: format!("CannotStartContainerError: {why}"),
    }
}

/// Starts to read the output of the container.
fn read_output(child: &mut Child, log: &Arc<ContainerLog>) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    if let Some(stdout) = child.stdout.take() {
        let log = Arc::clone(log);
        readers.spawn(async move { log.copy_lines(stdout, Stream::Stdout).await });
    }
    if let Some(stderr) = child.stderr.take() {
        let log = Arc::clone(log);
        readers.spawn(async move { log.copy_lines(stderr, Stream::Stderr).await });
    }
    readers
}

/// Reads the rest of the output and reaps the init.
async fn drain(child: &mut Child, mut readers: JoinSet<()>) {
    let all = async { while readers.join_next().await.is_some() {} };
    let _ = timeout(DRAIN_TIMEOUT, all).await;
    if timeout(DRAIN_TIMEOUT, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// The connection to a container's init.
struct InitConnection {
    lines: Lines<BufReader<OwnedReadHalf>>,
    to_init: OwnedWriteHalf,
    give_up_at: Option<Instant>,
}

enum InitMessage {
    /// The pid, and whether it has its own PID namespace.
    Started(u32, String),
    Failed(String),
    Exited(ExitCode),
}

impl InitConnection {
    /// Returns the next message of init; forwards commands while waiting.
    async fn next(&mut self, commands: &mut mpsc::Receiver<ProcessCommand>) -> Option<InitMessage> {
        loop {
            let far_future = Instant::now() + Duration::from_hours(1);
            tokio::select! {
                line = self.lines.next_line() => return parse(line),
                        // Without a sender the runner is gone, and the container must not outlive it.
                        command = commands.recv() => self.forward(command.unwrap_or(ProcessCommand::Kill)).await,
                        () = sleep_until(self.give_up_at.unwrap_or(far_future)) => {
                            if self.give_up_at.is_some() {
                        return None;
                    }
                }
            }
        }
    }

    async fn forward(&mut self, command: ProcessCommand) {
        let word: &[u8] = match command {
            ProcessCommand::Terminate => b"terminate\n",
            ProcessCommand::Kill => b"kill\n",
        };
        if command == ProcessCommand::Kill {
            // The first kill counts: repeating it must not extend the wait.
            self.give_up_at.get_or_insert(Instant::now() + KILL_TIMEOUT);
        }
        // If init is gone, its end of the socket is closed, and the next read returns the end of file.
        let _ = self.to_init.write_all(word).await;
    }
}

/// Parses a message of init, see [`crate::init`].
fn parse(line: io::Result<Option<String>>) -> Option<InitMessage> {
    let line = line.ok()??;
    match line.split_once(' ')? {
        ("started", words) => {
            let (pid, namespace) = words.split_once(' ')?;
            Some(InitMessage::Started(
                pid.parse().ok()?,
                namespace.to_owned(),
            ))
        }
        ("failed", error) => Some(InitMessage::Failed(error.to_owned())),
        ("exited", code) => code.parse().ok().map(InitMessage::Exited),
        _ => None,
    }
}
