//! Commands beside a container: health checks, and questions about readiness.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::RunPlan;
use crate::launch::Launch;
use crate::machine::ExitCode;

/// What docker keeps of a probe's output.
const KEPT: usize = 4096;
const NEVER_ENDED: ExitCode = -1;
const GRACE: Duration = Duration::from_secs(5);

/// How a command beside a container ended.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) passed: bool,
    /// -1 where it did not end by itself, or could not begin, as docker says it.
    pub(crate) code: ExitCode,
    pub(crate) output: String,
}

/// Runs a container's own program once with other arguments, in the container's environment, and
/// says whether it exited 0 in time.
pub async fn once(plan: &RunPlan, container: &str, words: &[&str], limit: Duration) -> bool {
    let (Some(definition), Some(program)) = (
        plan.definition.container(container),
        plan.programs.get(container),
    ) else {
        return false;
    };

    let mut command = vec!["CMD".to_owned(), program.binary.display().to_string()];
    command.extend(words.iter().map(|word| (*word).to_owned()));
    let launch = Launch::beside(plan, definition, program, &command, None);
    ask(&launch, limit, std::future::pending()).await.passed
}

/// Runs a command to its end, or kills it, and all it started, when the time is over or nobody
/// wants to know any more.
pub(crate) async fn ask(
    launch: &Launch,
    limit: Duration,
    unwanted: impl Future<Output = ()>,
) -> Answer {
    let (mut child, line) = match launch.start() {
        Ok(started) => started,
        Err(failure) => {
            return Answer {
                passed: false,
                code: NEVER_ENDED,
                output: failure.to_string(),
            };
        }
    };

    let (mut from_init, mut to_init) = line.into_split();
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let listen = async {
        let mut said = String::new();
        let words = from_init.read_to_string(&mut said);
        let (_, out, err) = tokio::join!(words, keep(stdout), keep(stderr));
        (said, out + &err)
    };

    tokio::pin!(listen);
    let in_time = tokio::select! {
        all = &mut listen => Some(all),
        () = sleep(limit) => None,
        () = unwanted => None,
    };
    let late = in_time.is_none();
    let (said, output) = if let Some(all) = in_time {
        all
    } else {
        let _ = to_init.write_all(b"kill\n").await;
        timeout(GRACE, listen).await.unwrap_or_default()
    };

    if timeout(GRACE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }

    let code = said.lines().find_map(|line| line.strip_prefix("exited "));
    let code = code.and_then(|code| code.trim().parse().ok());
    let code = code.filter(|_| !late).unwrap_or(NEVER_ENDED);
    let output = if late {
        format!("not done in {limit:?}; {output}")
    } else {
        output
    };

    Answer {
        passed: code == 0,
        code,
        output: output.trim().to_owned(),
    }
}

/// Reads everything so that nobody blocks, and keeps the beginning.
async fn keep(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let (mut kept, mut buffer) = (Vec::new(), [0; KEPT]);
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let room = KEPT.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
