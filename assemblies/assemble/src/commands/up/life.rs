//! The life of a task that runs here: until it ends, or somebody has enough.

use std::io;
use std::thread;
use std::time::Duration;

use task_runner::machine::StopCode;
use task_runner::{Control, Finished, RunPlan, run};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::door::{Door, Word};
use super::keep::{Binding, Healthy, Keep};
use super::metadata::{self, Metadata};
use super::network::Ways;
use super::screen::{Screen, Show};
use super::target::Target;
use super::{Arguments, credentials, json, ready, several, summary, watch};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// Why we told the task to stop, if we did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    /// It was ready, and that was all anybody wanted to know.
    Ready,
    /// The time was over.
    Late,
    /// Somebody asked.
    Stop,
    /// Somebody asked twice.
    Kill,
}

/// Runs a plan and answers with the exit code.
pub(super) async fn live(
    mut plan: RunPlan,
    target: Target,
    (bindings, ways): (&[Binding], Ways),
    arguments: &Arguments,
    project: &Project,
    talk: &Talk,
) -> Result<u8, Failure> {
    let mut signals = Signals::new().map_err(|failure| Failure::Usage(failure.to_string()))?;
    let (events, heard) = mpsc::channel(EVENTS);
    let (control, controlled) = mpsc::channel(CONTROLS);

    // Before the task is told of: its beginning is that of its run.
    let source = tokio::select! {
        source = credentials::source(&arguments.credentials, &target, talk) => source?,
        () = signals.next() => return Ok(NOT_RUNNING),
    };
    let view = metadata::view(&plan, &target);
    let lines = json::Lines::new(&view, &plan.folder);
    let show: Box<dyn Show> = if arguments.json {
        Box::new(lines.clone())
    } else {
        Box::new(Screen::new(&plan.definition, several::number(), talk))
    };

    let folder = plan.folder.clone();
    let door = Door::open(&folder);
    let number = several::number();
    if number.is_some() {
        several::end_with_the_service(&folder);
    }

    let keep = Keep::new(&plan.definition, lines, &folder, bindings, show);
    let show: Box<dyn Show> = Box::new(keep);
    let metadata = Metadata::open(&mut plan, &target, view, source, talk);
    let show = match &metadata {
        Some(metadata) => metadata.before(show),
        None => show,
    };

    let show = ways.before(&plan.definition, show);
    let healthy = if arguments.until_healthy {
        Healthy::of(&plan.definition)
    } else {
        Healthy::Unchecked
    };

    let waiting = ready::Waiting::new(&plan, &target);
    let handle = tokio::runtime::Handle::current();

    // A thread of its own: a terminal that does not take our words must not hold up a signal.
    let (say_running, running) = oneshot::channel();
    let teller = thread::spawn(move || {
        super::screen::tell(&handle, heard, show, say_running, healthy);
    });
    let _watch = arguments
        .watch
        .then(|| watch::begin(&plan, control.clone()));
    let task = run(plan, events, controlled);

    tokio::pin!(task);

    let smoke = arguments.until_ready || arguments.until_healthy;
    let ready = waiting.all(running);
    tokio::pin!(ready);

    // Of several tasks the service knows how long they have.
    let late = arguments.timeout.or(smoke.then_some(SMOKE));
    let late = late.filter(|_| number.is_none());
    let late = sleep_until(Instant::now() + late.unwrap_or(NEVER));
    tokio::pin!(late);

    let (mut told, mut is_ready) = (Told::Nothing, false);
    let finished = loop {
        tokio::select! {
            finished = &mut task => break finished,
            () = &mut ready, if !is_ready => {
                is_ready = true;
                if !arguments.json && !smoke && target.serves && number.is_none() {
                    ready::invite(&target, project, talk);
                }
                if smoke && number.is_some() {
                    several::prove(&folder);
                } else if smoke && told == Told::Nothing {
                    told = Told::Ready;
                    ask(&control, stop("Task stopped: it was ready")).await;
                }
            }
            () = &mut late, if told == Told::Nothing => {
                told = Told::Late;
                ask(&control, stop("Task stopped: the time given was over")).await;
            }
            word = either(&mut signals, &door, told) => {
                // One that stops already hears only what leaves it less time.
                if told != Told::Nothing && !matches!(word, Word::Kill | Word::Spot) {
                    continue;
                }
                told = match word {
                    Word::Kill => Told::Kill,
                    _ if told == Told::Nothing => Told::Stop,
                    _ => told,
                };
                ask(&control, wish(word)).await;
            }
        }
    };

    let finished = finished.map_err(|failure| Failure::Usage(failure.to_string()))?;
    let _ = teller.join();
    drop(door);
    if !arguments.json {
        summary::tell(&finished, &folder, project, talk);
    }

    Ok(match (&arguments.exit_code_from, told) {
        (Some(name), Told::Nothing | Told::Ready | Told::Stop) => code_of(&finished, name),
        _ => code(&finished, told),
    })
}

/// The code of one container; 1 when it never ran, or nobody could learn it.
fn code_of(finished: &Finished, name: &str) -> u8 {
    let one = finished.containers.iter().find(|one| one.name == name);
    let code = one.and_then(|one| one.code).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// A signal or a caller. The second signal kills, the second caller only asks again.
async fn either(signals: &mut Signals, door: &Door, told: Told) -> Word {
    tokio::select! {
        () = signals.next() => if told == Told::Nothing { Word::Stop } else { Word::Kill },
        word = door.next() => word,
    }
}

/// A shell's number for how it went.
fn code(finished: &Finished, told: Told) -> u8 {
    let own = finished.exit_code();
    let code = match told {
        // It ended by itself, whatever was asked meanwhile.
        _ if finished.guilty.is_some() => own,
        Told::Late => 124,
        Told::Kill => 137,
        Told::Stop if !finished.was_running => NOT_RUNNING.into(),
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

/// What a word is to the runner, with the reason that ECS would give.
fn wish(word: Word) -> Control {
    let stop = |code, reason: &str| Control::Stop {
        code,
        reason: reason.into(),
    };

    match word {
        Word::Stop => stop(StopCode::UserInitiated, "Task stopped by user"),
        Word::Kill => Control::Kill {
            reason: "Task killed by user".into(),
        },
        Word::Spot => stop(
            StopCode::SpotInterruption,
            "Your Spot Task was interrupted.",
        ),
        Word::Unhealthy => stop(
            StopCode::ServiceSchedulerInitiated,
            "Task failed container health checks",
        ),
    }
}

/// A task that has ended meanwhile does not listen any more, and need not.
async fn ask(control: &mpsc::Sender<Control>, word: Control) {
    let _ = control.send(word).await;
}

/// Ctrl-C, a polite end, a closed terminal: all mean stop.
pub(super) struct Signals([Signal; 3]);

impl Signals {
    /// From now on they are heard here.
    pub(super) fn new() -> io::Result<Self> {
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
        ];
        let [interrupt, terminate, hangup] = kinds.map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    /// The next one.
    pub(super) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// Stopped before the task was RUNNING.
const NOT_RUNNING: u8 = 130;
const EVENTS: usize = 4096;
const CONTROLS: usize = 4;
/// How long a trial may take when nobody says.
pub(super) const SMOKE: Duration = Duration::from_mins(1);
const NEVER: Duration = Duration::from_hours(10 * 365 * 24);
