//! Commands in a container beside its main process: health checks and readiness probes.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::RunPlan;
use crate::launch::Launch;
use crate::machine::ExitCode;

/// Docker keeps this much of a probe's output.
const MAX_OUTPUT_BYTES: usize = 4096;
const NO_EXIT_CODE: ExitCode = -1;
/// How long a killed command may take to end.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The result of a command in a container.
#[derive(Debug)]
pub(crate) struct ProbeResult {
    pub(crate) passed: bool,
    /// The exit code; -1 if it timed out, was cancelled or could not start, as in Docker.
    pub(crate) code: ExitCode,
    pub(crate) output: String,
}

impl ProbeResult {
    fn new(code: Option<ExitCode>, output: &str) -> Self {
        let code = code.unwrap_or(NO_EXIT_CODE);
        Self {
            passed: code == 0,
            code,
            output: output.trim().to_owned(),
        }
    }
}

/// Runs a container's program once with other arguments in the container's environment.
///
/// Returns true if it exits 0 within the limit.
pub async fn run_probe(
    plan: &RunPlan,
    container: &str,
    arguments: &[&str],
    limit: Duration,
) -> bool {
    let (Some(definition), Some(program)) = (
        plan.definition.container(container),
        plan.programs.get(container),
    ) else {
        return false;
    };

    let mut command = vec!["CMD".to_owned(), program.binary.display().to_string()];
    command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
    let launch = Launch::command(plan, definition, program, &command, None);
    run_command(&launch, limit, std::future::pending())
        .await
        .passed
}

/// Runs a command to its end. Kills it and all its processes at the limit or when `cancelled` completes.
pub(crate) async fn run_command(
    launch: &Launch,
    limit: Duration,
    cancelled: impl Future<Output = ()>,
) -> ProbeResult {
    let (mut child, socket) = match launch.start() {
        Ok(started) => started,
        Err(error) => return ProbeResult::new(None, &error.to_string()),
    };

    let (mut from_init, mut to_init) = socket.into_split();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Init closes the socket after the last process, so all three end together.
    let read_all = async {
        let mut messages = String::new();
        let read = from_init.read_to_string(&mut messages);
        let (_, out, err) = tokio::join!(read, read_output(stdout), read_output(stderr));
        (messages, out + &err)
    };

    tokio::pin!(read_all);
    let finished = tokio::select! {
        all = &mut read_all => Some(all),
        () = sleep(limit) => None,
        () = cancelled => None,
    };
    let timed_out = finished.is_none();
    let (messages, output) = if let Some(all) = finished {
        all
    } else {
        let _ = to_init.write_all(b"kill\n").await;
        timeout(EXIT_TIMEOUT, read_all).await.unwrap_or_default()
    };

    if timeout(EXIT_TIMEOUT, child.wait()).await.is_err() {
        // Init itself hangs: killing it closes its socket and its container is killed by the kernel.
        let _ = child.kill().await;
    }

    // A killed command has a code too, but its result is the timeout.
    if timed_out {
        return ProbeResult::new(None, &format!("timed out after {limit:?}; {output}"));
    }
    let mut lines = messages.lines();
    let code = lines.find_map(|line| line.strip_prefix("exited "));
    ProbeResult::new(code.and_then(|code| code.trim().parse().ok()), &output)
}

/// Reads to the end, so that the writer never blocks, and returns the beginning.
async fn read_output(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let (mut beginning, mut buffer) = (Vec::new(), [0; MAX_OUTPUT_BYTES]);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let space = MAX_OUTPUT_BYTES.saturating_sub(beginning.len()).min(count);
        beginning.extend_from_slice(&buffer[..space]);
    }
    String::from_utf8_lossy(&beginning).into_owned()
}
