//! The ECS API on a local port. Its tasks really run, as processes of this host.
//!
//! # Tour
//!
//! ```text
//! request ─server─▶ access ─▶ signature ─▶ faults ─▶ dispatch ─▶ an operation on State ─▶ response
//!                                                                        │
//!                                     runner thread ◀── queued and stopping tasks
//!                                          │
//!                                 local::TaskProcess, one per task
//! ```
//!
//! An [`Emulator`] has a [`Config`] and a listener. [`Emulator::serve`] takes two futures: one that stops all tasks, and
//! one that kills those that are left. All state is in memory, behind one lock; an operation is a function from the state and a request to a response. One
//! thread, the runner, starts, polls and stops the processes of the tasks, and updates the state.
//!
//! | module | does |
//! |---|---|
//! | `config`, `error` | what the caller passes and gets |
//! | `emulator` | the files and the state of a run; starts the server and the runner |
//! | `keys` | access keys of one run, and the files that have them |
//! | `server`, `request`, `response` | HTTP: limits, bodies, errors in the format of AWS |
//! | `access` | refuses requests of web pages |
//! | `signature` | verifies Signature Version 4 |
//! | `faults` | answers with errors by rule |
//! | `dispatch` | finds the operation |
//! | `state`, `arn`, `page` | the state, names of resources, pages of lists |
//! | `clusters`, `task_definitions`, `tasks`, `tags`, `settings`, `sts` | the operations |
//! | `runner` | runs the tasks |
//! | `services`, `deployment` | keeps the tasks of services running; deploys revisions |
//! | `listener` | spreads connections over the tasks of a service |
//! | `scaling_targets` | Application Auto Scaling, stored only |
//! | `event_log` | writes events in the format of EventBridge |

mod access;
mod api_error;
mod arn;
mod clusters;
mod config;
mod deployment;
mod dispatch;
mod emulator;
mod error;
mod event_log;
mod faults;
mod hex;
mod keys;
mod listener;
mod page;
mod request;
mod response;
mod runner;
mod scaling_targets;
mod server;
mod services;
mod settings;
mod signature;
mod state;
mod sts;
mod tags;
mod task_definitions;
mod tasks;
mod time;

pub use config::{Config, ContainerOption, ServiceOptions};
pub use emulator::Emulator;
pub use error::Error;
pub use faults::FaultRules;
pub use keys::{KeyFiles, Keys};
