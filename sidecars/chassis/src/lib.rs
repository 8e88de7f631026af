//! The base of every process in a task: settings, health, shutdown, telemetry and HTTP.
//!
//! A component is a type that implements [`Component`]; its `main.rs` is one call:
//!
//! ```no_run
//! # use chassis::{BoxError, Component, Port, Process, Settings, http::{self, Limits}};
//! # use {schemars::JsonSchema, serde::{Deserialize, Serialize}};
//! fn main() -> std::process::ExitCode {
//!     chassis::main::<Hello>()
//! }
//!
//! struct Hello;
//!
//! #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     /// Address to listen on.
//!     listen: std::net::SocketAddr,
//!     /// Limits of the listener.
//!     limits: Limits,
//! }
//!
//! # impl Default for Config {
//! #     fn default() -> Self {
//! #         Self { listen: ([127, 0, 0, 1], 8080).into(), limits: Limits::default() }
//! #     }
//! # }
//! impl Settings for Config {}
//!
//! impl Component for Hello {
//!     const NAME: &'static str = "hello";
//!     const SUMMARY: &'static str = "Says hello";
//!     const VERSION: &'static str = env!("CARGO_PKG_VERSION");
//!     const ADMIN_PORT: u16 = 9910;
//!     type Config = Config;
//!
//!     fn ports(config: &Config) -> Vec<Port> {
//!         vec![Port { name: "http", setting: "listen", address: config.listen }]
//!     }
//!
//!     async fn serve(config: Config, process: Process) -> Result<(), BoxError> {
//!         let listener = chassis::bind("listen", config.listen)?;
//!         let limits = Limits { drain_timeout: process.common.drain_timeout, ..config.limits };
//!         let hello = |_| async { ::http::Response::new(http::full("hello")) };
//!         http::serve(listener, hello, limits, process.shutdown).await;
//!         Ok(())
//!     }
//! }
//! ```
//!
//! [`main`] parses the verb and the settings, starts logs and telemetry, answers `/live` and
//! `/ready`, handles the signals and calls [`Component::serve`] with a [`Process`]. The component
//! binds the addresses in its `Config`, serves until [`Shutdown::wait`] resolves, drains and returns.
//!
//! ```text
//! arguments, environment ─▶ settings ─▶ check ─▶ Component::serve ─▶ drain ─▶ flush ─▶ exit code
//!                                                   │      ▲
//!                                       readiness ◀─┘      └── shutdown ◀── SIGTERM, drain delay
//! ```
//!
//! Where to start reading: [`Component`] for the contract, `run.rs` for the lifecycle of a process,
//! `settings/` for how a value gets into a `Config`, `http/server.rs` for the accept loop,
//! `http/connection.rs` for how one connection is served.
//! Only [`main`] and [`main_with`] install anything process-wide: the parts in [`http`] work in any tokio program.

mod accept;
mod admin;
mod arguments;
mod component;
mod describe;
mod error;
pub mod http;
mod human_duration;
mod listen;
pub mod memory;
mod readiness;
mod run;
mod secret;
mod settings;
mod shutdown;
mod signals;
pub mod telemetry;

pub use accept::accept_each;
pub use component::{BoxError, Common, Component, Port, Process, Verb};
pub use describe::{AdminDescription, Description, PortDescription, SettingDescription};
pub use error::format_chain;
pub use human_duration::{HumanDuration, ParseDurationError};
pub use listen::{BindError, bind};
pub use readiness::{Latch, Readiness};
pub use run::{main, main_with};
pub use secret::Secret;
pub use settings::{LoadedSettings, Problem, Settings, SettingsError, Sources, load};
pub use shutdown::{Shutdown, Trigger};
pub use signals::HangupSignal;
