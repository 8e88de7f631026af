//! One run of a container, from its start until nothing of it is left.

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
use crate::journal::Journal;
use crate::launch::Launch;
use crate::machine::ExitCode;
use crate::offspring::outlive_init;

/// What a run can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Terminate,
    Kill,
}

/// What a run tells.
#[derive(Debug)]
pub(crate) enum News {
    /// Output is read once `told` is dropped, so that nobody hears a container before its start.
    Started {
        pid: u32,
        /// It was to be PID 1, and is not.
        refused: bool,
        told: oneshot::Sender<()>,
    },
    Failed {
        reason: String,
    },
    Exited {
        code: Option<ExitCode>,
    },
}

/// After a kill the kernel needs a moment; more than this and the process cannot be killed.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// Everyone who could hold the pipes is dead by then.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Starts a process and stays with it: `Started` or `Failed` first, `Exited` last, and only when
/// all it printed has been read.
pub(crate) async fn tend<Told: Future<Output = ()>>(
    launch: Launch,
    journal: Arc<Journal>,
    mut orders: mpsc::Receiver<Order>,
    tell: impl Fn(News) -> Told,
) {
    let (mut child, line) = match launch.start() {
        Ok(started) => started,
        Err(failure) => {
            let program = launch.program().display();
            let reason = format!("CannotStartContainerError: cannot run `{program}`: {failure}");
            return tell(News::Failed { reason }).await;
        }
    };

    let (from_init, to_init) = line.into_split();
    let mut init = Init {
        lines: BufReader::new(from_init).lines(),
        to_init,
        give_up: None,
    };
    let (pid, space) = match init.next(&mut orders).await {
        Some(Said::Started(pid, space)) => (pid, space),
        said => {
            // What init itself has to say is in the log.
            let readers = read(&mut child, &journal);
            drain(&mut child, readers).await;
            let program = launch.program().display();
            let reason = match said {
                Some(Said::Failed(why)) => format!("cannot run `{program}`: {why}"),
                _ => "its init did not start".to_owned(),
            };

            let reason = format!("CannotStartContainerError: {reason}");
            return tell(News::Failed { reason }).await;
        }
    };

    let (told, heard) = oneshot::channel();
    let refused = launch.is_alone() && space != "alone";
    tell(News::Started { pid, refused, told }).await;

    let _ = heard.await;
    let readers = read(&mut child, &journal);
    let code = if let Some(Said::Exited(code)) = init.next(&mut orders).await {
        code
    } else {
        // Somebody killed init, and the container has to go with it.
        outlive_init(pid);
        137
    };

    drop(init);
    drain(&mut child, readers).await;
    tell(News::Exited { code: Some(code) }).await;
}

/// Begins to read what the container prints.
fn read(child: &mut Child, journal: &Arc<Journal>) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    if let Some(stdout) = child.stdout.take() {
        let journal = Arc::clone(journal);
        readers.spawn(async move { journal.take(stdout, Stream::Stdout).await });
    }
    if let Some(stderr) = child.stderr.take() {
        let journal = Arc::clone(journal);
        readers.spawn(async move { journal.take(stderr, Stream::Stderr).await });
    }
    readers
}

/// Reads all there is to read and buries the init.
async fn drain(child: &mut Child, mut readers: JoinSet<()>) {
    let all = async { while readers.join_next().await.is_some() {} };
    let _ = timeout(DRAIN_LIMIT, all).await;
    if timeout(DRAIN_LIMIT, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// The line to a container's init.
struct Init {
    lines: Lines<BufReader<OwnedReadHalf>>,
    to_init: OwnedWriteHalf,
    give_up: Option<Instant>,
}

enum Said {
    Started(u32, String),
    Failed(String),
    Exited(ExitCode),
}

impl Init {
    /// The next thing it says, passing on orders meanwhile.
    async fn next(&mut self, orders: &mut mpsc::Receiver<Order>) -> Option<Said> {
        loop {
            let far_away = Instant::now() + Duration::from_hours(1);
            tokio::select! {
                line = self.lines.next_line() => return parse(line),
                order = orders.recv() => self.pass_on(order.unwrap_or(Order::Kill)).await,
                () = sleep_until(self.give_up.unwrap_or(far_away)) => {
                    if self.give_up.is_some() {
                        return None;
                    }
                }
            }
        }
    }

    async fn pass_on(&mut self, order: Order) {
        let word: &[u8] = match order {
            Order::Terminate => b"terminate\n",
            Order::Kill => b"kill\n",
        };
        if order == Order::Kill {
            self.give_up.get_or_insert(Instant::now() + KILL_LIMIT);
        }
        // An init that is gone closes the line, and that is heard on the other half.
        let _ = self.to_init.write_all(word).await;
    }
}

fn parse(line: io::Result<Option<String>>) -> Option<Said> {
    let line = line.ok()??;
    match line.split_once(' ')? {
        ("started", words) => {
            let (pid, space) = words.split_once(' ')?;
            Some(Said::Started(pid.parse().ok()?, space.to_owned()))
        }
        ("failed", why) => Some(Said::Failed(why.to_owned())),
        ("exited", code) => code.parse().ok().map(Said::Exited),
        _ => None,
    }
}
