//! What the runner keeps of one container.

use std::sync::Arc;
use std::time::Duration;

use task_definition::ContainerDefinition;
use tokio::sync::{mpsc, oneshot};

use super::listener::Listener;
use crate::journal::{Journal, Together};
use crate::machine::ExitCode;
use crate::process::Order;
use crate::{ContainerReport, Program, RunError, RunPlan, What};

pub(super) struct Member {
    pub(super) definition: ContainerDefinition,
    pub(super) program: Program,
    pub(super) journal: Arc<Journal>,
    pub(super) report: ContainerReport,
    pub(super) orders: Option<mpsc::Sender<Order>>,
    /// Dropped, it ends the probe that is under way.
    pub(super) probe: Option<oneshot::Sender<()>>,
    pub(super) pid: Option<u32>,
    /// When the run that is under way began.
    pub(super) up_since: Option<Duration>,
    /// Dropped, once its start has been told, it lets its output be read.
    pub(super) told: Option<oneshot::Sender<()>>,
    /// What its last probe printed.
    pub(super) said: String,
    /// What it ended with.
    pub(super) probe_code: ExitCode,
    pub(super) stuck_told: bool,
    /// It holds too much and is being killed for it.
    pub(super) out_of_memory: bool,
    /// How many of its processes the kernel has killed for that, where it keeps the limits.
    pub(super) killed_by_kernel: u64,
    /// The processor time of the run that is under way.
    pub(super) spent_now: Duration,
}

impl Member {
    pub(super) fn new(
        definition: &ContainerDefinition,
        plan: &RunPlan,
        together: &Arc<Together>,
        listener: &Listener,
    ) -> Result<Self, RunError> {
        let name = definition.name.clone();
        let (ear, called) = (listener.clone(), name.clone());
        let listen = move |stream, line| ear.hear(Some(&called), What::Log { stream, line });
        let journal =
            Journal::open(&plan.folder, &name, Arc::clone(together), listen).map_err(|source| {
                RunError::Logs {
                    folder: plan.folder.clone(),
                    source,
                }
            })?;

        let Some(program) = plan.programs.get(&name).cloned() else {
            return Err(RunError::Programs(vec![name]));
        };
        let limit = Duration::from_secs(u64::from(definition.stop_timeout.unwrap_or(30)));
        let report = ContainerReport {
            essential: definition.is_essential(),
            stop_timeout: limit,
            name,
            ..ContainerReport::default()
        };

        Ok(Self {
            definition: definition.clone(),
            program,
            journal: Arc::new(journal),
            report,
            orders: None,
            probe: None,
            pid: None,
            up_since: None,
            told: None,
            said: String::new(),
            probe_code: 0,
            stuck_told: false,
            out_of_memory: false,
            killed_by_kernel: 0,
            spent_now: Duration::ZERO,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.definition.name
    }

    /// A run that has just ended takes no more orders.
    pub(super) fn tell(&self, order: Order) {
        if let Some(orders) = &self.orders {
            let _ = orders.try_send(order);
        }
    }

    pub(super) fn into_report(mut self) -> ContainerReport {
        self.report.last_lines = self.journal.last_lines();
        self.report.processor_time += self.spent_now;
        self.report
    }
}
