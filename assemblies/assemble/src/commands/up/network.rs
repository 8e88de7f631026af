//! Where a task lives here: its own network, the ports that lead into it and the addresses that lead out.

use std::net::TcpListener as Bound;
use std::path::Path;
use std::sync::Arc;

use task_definition::TaskDefinition;
use task_runner::RunPlan;
use task_runner::sandbox::{Sandbox, Shape};

use super::Arguments;
use crate::failure::Failure;
use crate::talk::Talk;

mod inward;
mod outward;
mod ways;

pub(crate) use inward::Publish;
pub(super) use inward::{bindings, by, ports, public_port, publish};
pub(crate) use outward::Reach;
pub(super) use outward::{hosts, reach, ways_out};
pub(super) use ways::Ways;

/// What a task's network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Net {
    /// Its own, as on Fargate: nothing leads in or out but what is named.
    Task,
    /// This machine's.
    Host,
}

/// Opens the sandbox. Where the machine gives none out, one line says so and the task shares the machine's
/// network, or everything.
pub(super) fn sandbox(
    definition: &TaskDefinition,
    arguments: &Arguments,
    init: &Path,
    talk: &Talk,
) -> Option<Arc<Sandbox>> {
    let shared_processes = definition.pid_mode.as_deref() == Some("task");
    let open = |network| {
        Sandbox::open(
            init,
            Shape {
                network,
                shared_processes,
            },
        )
        .map(Arc::new)
    };

    let mut refused = None;
    if arguments.net == Net::Task {
        match open(true) {
            Ok(sandbox) => return Some(sandbox),
            Err(why) => refused = Some(why),
        }
    }

    // Where nothing is given out, one line says all.
    let (sandbox, words) = match (open(false), refused) {
        (Ok(sandbox), None) => return Some(sandbox),
        (Ok(sandbox), Some(why)) => (Some(sandbox), format!("{SHARED}: {why}")),
        (Err(_), Some(why)) => (None, format!("{SHARED}, and {ORDINARY}: {why}")),
        (Err(why), None) => (None, format!("{ORDINARY}: {why}")),
    };

    talk.say(&words);
    sandbox
}

/// Begins to carry. Called in a runtime.
pub(super) fn open(
    plan: &RunPlan,
    ports: Vec<(Bound, u16)>,
    ways: &[Reach],
    talk: &Talk,
) -> Result<Ways, Failure> {
    let sandbox = plan.sandbox.as_ref();
    let Some(sandbox) = sandbox.filter(|sandbox| sandbox.shape().network) else {
        return Ok(Ways::default());
    };
    let inward = inward::open(sandbox, ports, talk)
        .map_err(|why| Failure::Usage(format!("no way into the task's network: {why}")))?;
    let outward = outward::open(sandbox, ways, talk)?;

    Ok(Ways::new(inward, outward))
}

const SHARED: &str = "the network here is this machine's";
const ORDINARY: &str = "containers are ordinary processes here";
