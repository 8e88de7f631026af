//! The state the runner keeps of each container.

use std::sync::Arc;
use std::time::Duration;

use task_definition::ContainerDefinition;
use tokio::sync::{mpsc, oneshot};

use super::event_sender::EventSender;
use crate::container_log::{CombinedLog, ContainerLog};
use crate::machine::ExitCode;
use crate::process::ProcessCommand;
use crate::{ContainerReport, EventKind, Program, RunError, RunPlan};

pub(super) struct ManagedContainer {
    pub(super) definition: ContainerDefinition,
    pub(super) program: Program,
    pub(super) container_log: Arc<ContainerLog>,
    pub(super) report: ContainerReport,
    pub(super) commands: Option<mpsc::Sender<ProcessCommand>>,
    /// Ends the running probe when dropped.
    pub(super) probe: Option<oneshot::Sender<()>>,
    pub(super) pid: Option<u32>,
    /// When the current run started.
    pub(super) running_since: Option<Duration>,
    /// Lets the output be read when dropped, after the start was published.
    pub(super) output_gate: Option<oneshot::Sender<()>>,
    /// The output of the last probe.
    pub(super) probe_output: String,
    /// The exit code of the last probe.
    pub(super) probe_code: ExitCode,
    pub(super) stuck_warned: bool,
    /// It exceeds a memory limit and is being killed.
    pub(super) out_of_memory: bool,
    /// The number of its processes killed by the kernel for their memory, if cgroups enforce the limits.
    pub(super) oom_kills: u64,
    /// The CPU time of the current run.
    pub(super) current_cpu_time: Duration,
}

impl ManagedContainer {
    pub(super) fn new(
        definition: &ContainerDefinition,
        plan: &RunPlan,
        combined_log: &Arc<CombinedLog>,
        event_sender: &EventSender,
    ) -> Result<Self, RunError> {
        let name = definition.name.clone();
        let (events, log_name) = (event_sender.clone(), name.clone());
        let listener =
            move |stream, line| events.send(Some(&log_name), EventKind::Log { stream, line });
        let container_log =
            ContainerLog::open(&plan.folder, &name, Arc::clone(combined_log), listener).map_err(
                |source| RunError::Logs {
                    folder: plan.folder.clone(),
                    source,
                },
            )?;

        let Some(program) = plan.programs.get(&name).cloned() else {
            return Err(RunError::Programs(vec![name]));
        };
        // 30 s is the default of ECS for `stopTimeout`.
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
            container_log: Arc::new(container_log),
            report,
            commands: None,
            probe: None,
            pid: None,
            running_since: None,
            output_gate: None,
            probe_output: String::new(),
            probe_code: 0,
            stuck_warned: false,
            out_of_memory: false,
            oom_kills: 0,
            current_cpu_time: Duration::ZERO,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.definition.name
    }

    /// Sends a command to the current run; ignored if it has just ended.
    pub(super) fn send_command(&self, command: ProcessCommand) {
        if let Some(commands) = &self.commands {
            let _ = commands.try_send(command);
        }
    }

    pub(super) fn into_report(mut self) -> ContainerReport {
        self.report.last_lines = self.container_log.last_lines();
        self.report.cpu_time += self.current_cpu_time;
        self.report
    }
}
