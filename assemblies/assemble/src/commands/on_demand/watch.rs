//! `on-demand watch`: a folder stands for the bucket, and every new file in it starts the task.
//!
//! | file | does |
//! |---|---|
//! | `folder` | finds new files, once they do not grow any more |
//! | `queue` | what waits to be run, duplicates and disorder included |
//! | `work` | runs one task, again where it fails, and puts away what fails for good |

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use assembly::trigger::event::{Object, created, start};
use clap::Args;

use crate::cli::ValueArguments;
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

mod folder;
mod queue;
mod work;

use folder::Folder;
use queue::{Job, Queue};
use work::Work;

/// What to watch, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folder that stands for the bucket: the key of `DIR/video/a.mp4` is `video/a.mp4`.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The assembly; the only one with `on_demand` when left out.
    name: Option<String>,
    /// The folder that stands for the output bucket; `.assemble/on-demand/<assembly>/output` when left out.
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    /// Tasks at a time; each has a network of its own, where this machine gives out any.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    max_parallel: u16,
    /// How often a task that fails is tried again.
    #[arg(long, value_name = "N", default_value_t = 2)]
    retries: u32,
    /// Where events go whose task failed for good; `.assemble/on-demand/<assembly>/dead-letters` when left out.
    #[arg(long, value_name = "FOLDER")]
    dead_letters: Option<PathBuf>,
    /// Takes files too that are there already.
    #[arg(long)]
    existing: bool,
    /// Ends when nothing is left to do, with 1 when something failed for good.
    #[arg(long)]
    until_idle: bool,
    /// Delivers this share of the events twice, as S3 may.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    duplicate: f64,
    /// Delivers the events in any order, as S3 may.
    #[arg(long)]
    reorder: bool,
    /// What `--duplicate` and `--reorder` choose by; the same number, the same choices.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Leaves a container of the task out.
    #[arg(long, value_name = "CONTAINER")]
    skip: Vec<String>,
    #[command(flatten)]
    values: ValueArguments,
}

/// Watches until somebody stops it, or nothing is left to do.
pub(super) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let (plan, name) = super::plan(arguments.name.as_ref(), &arguments.values, "local", project)?;
    let Some(on_demand) = plan.on_demand() else {
        return Ok(0);
    };
    let mut folder = Folder::open(&arguments.folder, arguments.existing)?;
    let queue = Queue::new(arguments.duplicate, arguments.reorder, arguments.seed);
    let work = Work::new(arguments, &name, on_demand, folder.root(), project)?;
    let stopped = stopped_by_signal()?;

    talk.say(&format!(
        "{name}: {} stands for the bucket `{}`, results go to {}; Ctrl-C ends it",
        folder.root().display(),
        on_demand.bucket,
        work.output().display()
    ));

    thread::scope(|scope| {
        for _ in 0..arguments.max_parallel {
            scope.spawn(|| work.all(&queue, talk));
        }

        let mut number = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            let news = folder.news();
            for file in &news {
                number += 1;
                let object = Object {
                    bucket: on_demand.bucket.clone(),
                    key: file.key.clone(),
                    size: file.size,
                    etag: file.etag.clone(),
                    sequencer: format!("{number:016X}"),
                };

                let event = created(&object, &identity(number), "000000000000", "us-east-1");
                match start(&plan, &event) {
                    Ok(start) => queue.put(Job::new(&file.key, event, start)),
                    Err(why) => talk.say(&format!("{}: {why}", file.key)),
                }
            }

            if arguments.until_idle && news.is_empty() && folder.is_settled() && queue.is_idle() {
                break;
            }
            thread::sleep(PAUSE);
        }

        // What runs goes on to its end; what waits is not begun.
        queue.close();
    });

    talk.say(&work.total());
    Ok(u8::from(work.has_failed()))
}

/// An id of an event, in the form that EventBridge gives it.
fn identity(number: u64) -> String {
    format!("{:08x}-0000-4000-8000-{number:012x}", std::process::id())
}

/// Ctrl-C and a polite end, asked for where the watching is done.
fn stopped_by_signal() -> Result<&'static AtomicBool, Failure> {
    static STOPPED: AtomicBool = AtomicBool::new(false);

    let failure =
        |error: std::io::Error| Failure::Usage(format!("cannot listen for signals: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failure)?;

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
        .ok_or_else(|| "is no share from 0 to 1".to_owned())
}

const PAUSE: Duration = Duration::from_millis(100);
