//! `assemble stop`: stops a task that runs here, as StopTask would.

use std::thread::sleep;
use std::time::Duration;

use clap::Args;

use super::runs::Run;
use super::up::{Word, say};
use crate::failure::Failure;
use crate::project::Project;
use crate::talk::Talk;

/// Which one.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The run, a task or a service, or the beginning of its name; the only one that runs when left out.
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// Kills everything at once.
    #[arg(long)]
    force: bool,
    /// Stops it as when Spot takes its capacity back: in order, and two minutes later whatever is left is killed.
    #[arg(long, conflicts_with = "force")]
    spot: bool,
}

/// Asks it to stop and waits for its end.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> Result<u8, Failure> {
    let run = Run::to_stop(arguments.task.as_deref(), project)?;
    if !run.alive {
        talk.say(&format!("`{}` has ended already", run.name));
        return Ok(0);
    }

    if arguments.spot && run.is_service() {
        let words = format!(
            "Spot takes single tasks back; name one of `{0}`: `{0}-1`, …",
            run.name
        );
        return Err(Failure::Usage(words));
    }

    let word = match (arguments.force, arguments.spot) {
        (true, _) => Word::Kill,
        (_, true) => Word::Spot,
        _ => Word::Stop,
    };

    let mut told = say(&run.folder, word);
    // It may have been busy with somebody else.
    for _ in 0..TRIES {
        if told.is_ok() || !run.goes_on() {
            break;
        }
        told = say(&run.folder, word);
    }

    while run.goes_on() {
        told.as_ref().map_err(|failure| {
            Failure::Usage(format!("`{}` does not listen: {failure}", run.name))
        })?;
        sleep(PAUSE);
    }

    talk.say(&format!("`{}` has stopped", run.name));
    Ok(0)
}

const TRIES: u8 = 3;
const PAUSE: Duration = Duration::from_millis(50);
