//! `up --count N`: runs N tasks of an assembly, as a service does, behind one listener per port.
//!
//! Each task is another `assemble up` process with its own name and ports. A task that exits is replaced: at once
//! if it had been ready, with a growing delay if not. A task that is UNHEALTHY is stopped and replaced.
//!
//! | file | is |
//! |---|---|
//! | `replica` | one task: starts, polls and stops it |
//! | `wait` | what `--wait`, `--until-ready` and `--timeout` ask for |
//! | `round_robin` | the listeners, and the task that gets the next connection |
//! | `record` | the service's state for `ps` and `stop` |

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::time::sleep;

use super::control_socket::{ControlCommand, ControlSocket, send};
use super::run_folder::{choose_name, free_folder, lock};
use super::runtime::new_runtime;
use super::session::Signals;
use super::target::Target;
use super::{network, ready};
use crate::{Error, Messages, Options, Project};

mod record;
mod replica;
mod round_robin;
mod wait;

pub use record::SERVICE;
use record::ServiceRecord;
use replica::{Replica, ReplicaEvent, ReplicaState};
use round_robin::{RoundRobin, listen};
use wait::WaitCondition;

/// Stops a replica when the process of its service is gone.
pub(super) fn stop_with_service(folder: &Path) {
    let folder = folder.to_owned();
    thread::spawn(move || {
        // The service holds the other end of this pipe and never writes: reading ends when it exits.
        let _ = io::stdin().read(&mut [0]);
        let _ = send(&folder, ControlCommand::Stop);
    });
}

/// Runs the replicas until they are stopped. Returns 0 if all of them then exit with 0.
pub fn run_replicas(
    count: u8,
    mut target: Target,
    options: &Options,
    project: &Project,
    ui: &dyn Messages,
) -> Result<u8, Error> {
    let name = choose_name(options, &target.definition.family);
    let folder = free_folder(&name, project)?;
    let _lock = lock(&folder, &name)?;
    let replicas = (1..=count).map(|number| {
        let name = format!("{name}-{number}");
        let folder = free_folder(&name, project)?;
        Ok(Replica::new(number, name, folder))
    });
    let replicas = replicas.collect::<Result<Vec<_>, Error>>()?;

    let ports = network::ports(&target.definition, options)?;
    if let Some(public) = &mut target.public {
        public.port = network::public_port(&ports, public.port).unwrap_or(public.port);
    }

    let container_ports: Vec<u16> = ports.iter().map(|(_, port)| *port).collect();
    let runtime = new_runtime()?;
    let service = Service {
        replicas,
        round_robin: Arc::default(),
        container_ports,
        wait: WaitCondition::new(options),
        record: ServiceRecord::new(
            &folder,
            &target.definition.family,
            count,
            &network::bindings(&ports),
        ),
        last_command: None,
        was_steady: false,
        code: 0,
    };

    let output = Output {
        json: options.json,
        ui,
        print_curl_hint: &|| ready::print_curl_hint(&target, project, ui),
    };
    let result = runtime.block_on(async {
        // A caller that can connect to the socket may rely on the record.
        service.write_record();
        let socket = ControlSocket::open(&folder);
        let _listeners = listen(ports, &service.round_robin, ui)?;
        Box::pin(service.run(&socket, &output)).await
    });

    result.map_err(|why| Error::Usage(format!("cannot start: {why}")))
}

/// Where messages about the service go.
struct Output<'a> {
    json: bool,
    ui: &'a dyn Messages,
    print_curl_hint: &'a dyn Fn(),
}

struct Service {
    replicas: Vec<Replica>,
    round_robin: Arc<RoundRobin>,
    container_ports: Vec<u16>,
    wait: WaitCondition,
    record: ServiceRecord,
    /// The last command sent to all replicas.
    last_command: Option<ControlCommand>,
    /// Whether all replicas have been active at the same time.
    was_steady: bool,
    code: u8,
}

impl Service {
    async fn run(mut self, socket: &ControlSocket, output: &Output<'_>) -> io::Result<u8> {
        let mut signals = Signals::new()?;
        // Kept between iterations: dropping it could lose a command that is half received.
        let next_command = socket.next();
        tokio::pin!(next_command);

        loop {
            for index in 0..self.replicas.len() {
                self.poll_replica(index, output)?;
            }
            self.check_progress(output);
            self.write_record();

            if self.last_command.is_some() && self.replicas.iter().all(Replica::is_gone) {
                self.replicas.iter_mut().for_each(Replica::join_output);
                return Ok(self.wait.code(self.code));
            }

            tokio::select! {
                () = signals.next() => {
                    // The second signal kills, as with a single task.
                    let command = self.last_command.map_or(ControlCommand::Stop, |_| ControlCommand::Kill);
                    self.send_all(command);
                }
                command = &mut next_command => {
                    next_command.set(socket.next());
                    if command == ControlCommand::Kill || (command == ControlCommand::Stop && self.last_command.is_none()) {
                        self.send_all(command);
                    }
                }
                () = self.wait.wait_until_expired(), if self.last_command.is_none() => {
                    output.ui.message("timed out");
                    self.wait.set_expired();
                    self.send_all(ControlCommand::Stop);
                }
                () = sleep(POLL_INTERVAL) => {}
            }
        }
    }

    fn send_all(&mut self, command: ControlCommand) {
        self.last_command = Some(command);
        if command == ControlCommand::Kill {
            self.code = KILLED;
        }
        self.replicas
            .iter_mut()
            .for_each(|replica| replica.send(command));
    }

    fn poll_replica(&mut self, index: usize, output: &Output) -> io::Result<()> {
        let replica = &mut self.replicas[index];
        let number = replica.number;
        match replica.poll()? {
            ReplicaEvent::Due if self.last_command.is_none() => {
                replica.start(
                    &self.container_ports,
                    output.json.then(|| output.ui.results()),
                )?;
            }
            ReplicaEvent::Ready(ports) if self.last_command.is_none() => {
                output.ui.message(&format!("task {number} is ready"));
                self.round_robin.join(number, ports);
            }
            ReplicaEvent::Stopping => self.round_robin.leave(number),
            ReplicaEvent::Unhealthy => {
                self.round_robin.leave(number);
                if self.last_command.is_none() && replica.stop_unhealthy() {
                    output
                        .ui
                        .message(&format!("task {number} is UNHEALTHY, stopping it"));
                }
            }
            ReplicaEvent::Exited { code, started } => {
                self.round_robin.leave(number);
                self.handle_exit(index, code, started, output);
            }
            ReplicaEvent::Due | ReplicaEvent::Ready(_) | ReplicaEvent::Nothing => {}
        }

        Ok(())
    }

    fn handle_exit(&mut self, index: usize, code: i32, started: bool, output: &Output) {
        let exit_code = u8::try_from(code).unwrap_or(1);
        if self.last_command.is_some() {
            // 130: stopped before it was RUNNING, which is expected here.
            self.code = self
                .code
                .max(if exit_code == STOPPED { 0 } else { exit_code });
            return;
        }

        if !started && (NOT_STARTED..=NOT_FOUND).contains(&code) {
            // The arguments or the host are wrong, so every replica would fail in the same way.
            self.send_all(ControlCommand::Stop);
            self.code = exit_code;
            return;
        }

        let replica = &mut self.replicas[index];
        let (number, pause) = (replica.number, replica.pause());
        // Someone waits for the service to become steady; with a task that never starts it would be forever.
        if !self.was_steady && self.wait.must_become_ready() && replica.failures >= MAX_FAILURES {
            output.ui.message(&format!(
                "task {number} exited with {code} before it was ready, {MAX_FAILURES} times in a row; giving up"
            ));
            self.send_all(ControlCommand::Stop);
            self.code = exit_code.max(1);
            return;
        }

        let delay = if pause.is_zero() {
            String::new()
        } else {
            format!(" in {} s", pause.as_secs())
        };

        output.ui.message(&format!(
            "task {number} exited with {code}, replacing it{delay}"
        ));
    }

    /// Reports once that all replicas are active, and ends a smoke test.
    fn check_progress(&mut self, output: &Output) {
        if self.last_command.is_some() {
            return;
        }
        if !self.was_steady
            && self
                .replicas
                .iter()
                .all(|replica| replica.state == ReplicaState::Active)
        {
            self.was_steady = true;
            self.record.mark_ready();
            if !output.json && !self.wait.is_smoke_test() {
                (output.print_curl_hint)();
            }
        }

        if self.wait.is_smoke_test() && self.replicas.iter().all(Replica::has_passed) {
            output.ui.message("all tasks were ready");
            self.send_all(ControlCommand::Stop);
        }
    }

    fn write_record(&self) {
        let count = |state| {
            self.replicas
                .iter()
                .filter(|replica| replica.state == state)
                .count()
        };
        let alive = self
            .replicas
            .iter()
            .filter(|replica| !replica.is_gone())
            .count();
        let running = count(ReplicaState::Active);
        self.record
            .write(self.last_command, running, alive - running);
    }
}

const POLL_INTERVAL: Duration = Duration::from_millis(100);
const NOT_STARTED: i32 = 125;
const NOT_FOUND: i32 = 127;
const STOPPED: u8 = 130;
const KILLED: u8 = 137;
/// The smallest failure threshold of ECS's deployment circuit breaker.
const MAX_FAILURES: u32 = 3;
