//! Runs an assembly or any task definition on this host, with the rules of Fargate.
//!
//! This crate is `assemble up` without its command line. One type per stage, each built by the one before:
//!
//! ```text
//! Plan or task definition ─▶ Target ┐
//!                                   ├─ LocalRun::new ─▶ LocalRun ─ run ─▶ Report
//!                           Options ┘
//! ```
//!
//! [`Target`] is the task definition with the components of its containers. [`LocalRun`] is a run whose options are
//! resolved and checked: every container has a program, secrets have values, the run directory is locked and the
//! published ports are bound. Running it is a session: an event loop over the task, signals, the control socket and
//! the timeout. [`run_replicas`] does the same for a service of several tasks, each in a process of its own.
//!
//! Nothing is printed here: messages, results and events go to the caller's [`Messages`]. Credentials for the
//! containers come from the caller too, as a future that the session awaits.
//!
//! | module | does |
//! |---|---|
//! | `options`, `project`, `messages`, `error` | what the caller passes and gets |
//! | `role` | tells background processes and replicas apart, by a hidden option |
//! | `detach` | runs the task in a background process |
//! | `target` | takes what to run from a plan or a task definition |
//! | `local_run` | resolves and checks the options, then runs the session |
//! | `task_process`, `task_identity` | a task in a process of its own, for other programs |
//! | `replicas` | runs several tasks behind one listener |
//! | `stub` | removes containers, or replaces them with stubs |
//! | `programs` | finds the program for each image |
//! | `image` | runs containers from their images: layouts, archives, registries |
//! | `environment` | sets what differs locally: addresses, variables |
//! | `limits` | enforces the size of the task, and prints what is not enforced |
//! | `secrets` | finds the values of secrets |
//! | `folders` | finds the host directories that variables name, so that containers see them |
//! | `network` | gives the task its own network, with forwarded and published ports |
//! | `metadata` | serves the task metadata endpoint |
//! | `session` | runs the task until it ends or is stopped |
//! | `events` | delivers events; `json` has their format for programs |
//! | `watch` | restarts a container when its program changes |
//! | `ready` | waits until all containers are ready and prints a sample command |
//! | `runtime` | creates the async runtime |
//! | `run_folder` | names, creates and locks run directories |
//! | `run_dir` | records events in the run directory; `control_socket` serves `ps`, `logs`, `stop` |
//! | `dev_keys` | development keys and certificates |

mod control_socket;
mod detach;
mod dev_keys;
mod environment;
mod error;
mod events;
mod folders;
mod image;
mod json;
mod limits;
mod local_run;
mod messages;
mod metadata;
mod network;
mod options;
mod programs;
mod project;
mod ready;
mod replicas;
mod role;
mod run_dir;
mod run_folder;
mod runtime;
mod secrets;
mod session;
mod stub;
mod target;
mod task_identity;
mod task_process;
mod watch;

pub use control_socket::{ControlCommand, is_alive, send};
pub use detach::run_detached;
pub use dev_keys::DevKeys;
pub use environment::{EnvOverride, parse_override};
pub use error::Error;
pub use events::EventSink;
pub use image::{ImageChoice, parse_choice as parse_image_choice};
pub use json::{TaskRecord, started_by};
pub use limits::Limits;
pub use local_run::LocalRun;
pub use messages::Messages;
pub use network::{Net, PublishedPort, Reach, parse_publish, parse_reach};
pub use options::Options;
pub use project::Project;
pub use replicas::{SERVICE, run_replicas};
pub use role::Role;
pub use run_dir::TASK;
pub use run_folder::{parse_run_name, remove_old_runs};
pub use session::Report;
pub use stub::{Stub, parse_stub};
pub use target::Target;
pub use task_identity::TaskIdentity;
pub use task_process::{
    ProcessExit, ProcessOutput, TaskProcess, create_run_folder, task_arguments,
};
pub use task_runner::metadata::rfc3339;
