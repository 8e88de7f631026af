//! A local task's network: its own, with published ports and allowed outgoing connections.

use std::net::TcpListener as Bound;
use std::path::Path;
use std::sync::Arc;

use task_definition::TaskDefinition;
use task_runner::RunPlan;
use task_runner::sandbox::{Isolation, Sandbox};

use crate::Error;
use crate::Messages;
use crate::Options;

mod egress;
mod forwards;
mod publish;

pub use egress::{Reach, parse_reach};
pub(super) use egress::{find_reaches, hosts};
pub(super) use forwards::Forwards;
pub use publish::{PublishedPort, parse_publish};
pub(super) use publish::{bindings, port_holder, ports, public_port};

/// The network of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Net {
    /// Its own, as on Fargate: only published ports and allowed outgoing connections cross its boundary.
    Task,
    /// The host's.
    Host,
}

/// Opens the sandbox. If the host does not allow it, prints one line, and the task shares the host's network or
/// runs without a sandbox.
pub(super) fn sandbox(
    definition: &TaskDefinition,
    options: &Options,
    init: &Path,
    ui: &dyn Messages,
) -> Option<Arc<Sandbox>> {
    let shared_pid_namespace = definition.pid_mode.as_deref() == Some("task");
    let open = |network| {
        Sandbox::open(
            init,
            Isolation {
                network,
                shared_pid_namespace,
            },
        )
        .map(Arc::new)
    };

    let mut network_error = None;
    if options.net == Net::Task {
        match open(true) {
            Ok(sandbox) => return Some(sandbox),
            Err(why) => network_error = Some(why),
        }
    }

    // One line for both, since the cause is usually the same.
    let (sandbox, message) = match (open(false), network_error) {
        (Ok(sandbox), None) => return Some(sandbox),
        (Ok(sandbox), Some(why)) => (Some(sandbox), format!("{SHARED}: {why}")),
        (Err(_), Some(why)) => (None, format!("{SHARED}, and {ORDINARY}: {why}")),
        (Err(why), None) => (None, format!("{ORDINARY}: {why}")),
    };

    ui.message(&message);
    sandbox
}

/// Starts forwarding. Must be called in a runtime.
pub(super) fn open(
    plan: &RunPlan,
    ports: Vec<(Bound, u16)>,
    reaches: &[Reach],
    ui: &dyn Messages,
) -> Result<Forwards, Error> {
    let sandbox = plan.sandbox.as_ref();
    let Some(sandbox) = sandbox.filter(|sandbox| sandbox.isolation().network) else {
        return Ok(Forwards::default());
    };
    let published = publish::open(sandbox, ports, ui).map_err(|why| {
        Error::Usage(format!(
            "cannot forward ports into the task's network: {why}"
        ))
    })?;
    let egress = egress::open(sandbox, reaches, ui)?;

    Ok(Forwards::new(published, egress))
}

const SHARED: &str = "the task shares the host's network";
const ORDINARY: &str = "containers run as ordinary processes";
