//! `on-demand watch`: a directory replaces the bucket, and every new file in it starts the task.
//!
//! | file | does |
//! |---|---|
//! | `folder` | finds new files once they are complete |
//! | `queue` | delivers events, with duplicates and reordering if asked to |
//! | `work` | runs tasks, retries, and writes dead letters |

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use assembly::trigger::event::{Object, object_created, start};
use clap::Args;

use crate::arguments::ValueArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::runtime;
use crate::ui::Ui;

mod folder;
mod queue;
mod work;

use folder::Folder;
use queue::{Job, Queue};
use work::Work;

/// Arguments of `on-demand watch`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Directory that replaces the bucket: the key of `DIR/video/a.mp4` is `video/a.mp4`.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Assembly [default: the only one with `on_demand`].
    name: Option<String>,
    /// Directory that replaces the output bucket [default: `.assemble/on-demand/<assembly>/output`].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Tasks that run at the same time. Each has its own network where the host supports it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    max_parallel: u16,
    /// Retries of a failed task.
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: u32,
    /// Directory for the events of tasks that failed every time [default: `.assemble/on-demand/<assembly>/dead-letters`].
    #[arg(long, value_name = "DIR")]
    dead_letters: Option<PathBuf>,
    /// Also process files that already exist.
    #[arg(long)]
    existing: bool,
    /// Exit when no work is left; 1 if a task failed every time.
    #[arg(long)]
    until_idle: bool,
    /// Deliver this share of the events twice, as S3 may.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    duplicate: f64,
    /// Deliver the events in random order, as S3 may.
    #[arg(long)]
    reorder: bool,
    /// Seed of `--duplicate` and `--reorder`.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Do not start a container of the task.
    #[arg(long, value_name = "CONTAINER")]
    skip: Vec<String>,
    #[command(flatten)]
    values: ValueArguments,
}

/// Watches until it is interrupted, or with `--until-idle` until no work is left.
pub(super) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> Result<u8, CliError> {
    let (plan, name) = super::plan(arguments.name.as_ref(), &arguments.values, "local", project)?;
    let Some(on_demand) = plan.on_demand() else {
        return Ok(0);
    };
    let mut folder = Folder::open(&arguments.folder, arguments.existing)?;
    let queue = Queue::new(arguments.duplicate, arguments.reorder, arguments.seed);
    let work = Work::new(arguments, &name, on_demand, folder.root(), project)?;
    let stopped = stop_flag()?;

    ui.message(&format!(
        "{name}: watching {} as bucket `{}`, output in {}; press Ctrl-C to stop",
        folder.root().display(),
        on_demand.bucket,
        work.output().display()
    ));

    thread::scope(|scope| {
        for _ in 0..arguments.max_parallel {
            scope.spawn(|| work.process(&queue, ui));
        }

        let mut number = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            let new_files = folder.poll();
            for file in &new_files {
                number += 1;
                let object = Object {
                    bucket: on_demand.bucket.clone(),
                    key: file.key.clone(),
                    size: file.size,
                    etag: file.etag.clone(),
                    // S3 promises an order only of the sequencers of one key, as hexadecimal strings.
                    sequencer: format!("{number:016X}"),
                };

                let event = object_created(&object, &event_id(number), "000000000000", "us-east-1");
                match start(&plan, &event) {
                    Ok(start) => queue.put(Job::new(&file.key, event, start)),
                    Err(why) => ui.message(&format!("{}: {why}", file.key)),
                }
            }

            if arguments.until_idle
                && new_files.is_empty()
                && folder.is_settled()
                && queue.is_idle()
            {
                break;
            }
            thread::sleep(POLL_INTERVAL);
        }

        // Running tasks finish; queued ones are not started.
        queue.close();
    });

    ui.message(&work.total());
    Ok(u8::from(work.has_failed()))
}

/// Returns an event id in EventBridge's format.
fn event_id(number: u64) -> String {
    format!("{:08x}-0000-4000-8000-{number:012x}", std::process::id())
}

/// Returns a flag that SIGINT, SIGTERM and SIGHUP set.
fn stop_flag() -> Result<&'static AtomicBool, CliError> {
    static STOPPED: AtomicBool = AtomicBool::new(false);

    let runtime = runtime::new()?;
    // The watch loop is synchronous; one thread waits for the signals.
    thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};

            let kinds = [
                SignalKind::interrupt(),
                SignalKind::terminate(),
                SignalKind::hangup(),
            ];
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else {
                return;
            };

            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
        });
        STOPPED.store(true, Ordering::Relaxed);
    });

    Ok(&STOPPED)
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "is not a number from 0 to 1".to_owned())
}

const POLL_INTERVAL: Duration = Duration::from_millis(100);
