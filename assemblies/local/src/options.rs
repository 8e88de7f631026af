//! The options of a local run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use registry::LoginSource;

use crate::environment::EnvOverride;
use crate::image::ImageChoice;
use crate::limits::Limits;
use crate::network::{Net, PublishedPort, Reach};
use crate::role::Role;
use crate::stub::Stub;

/// The options of a local run, as the command line has them.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of `up`")]
pub struct Options {
    /// How this process was started.
    pub role: Role,
    /// What to run, as the user wrote it; a background run's name is derived from it.
    pub what: String,
    /// Variables that override the definition's.
    pub env: Vec<EnvOverride>,
    /// Files with such variables; `env` overrides them.
    pub env_file: Vec<PathBuf>,
    /// The program to run for a container: its name and a file.
    pub program: Vec<(String, String)>,
    /// Containers to run from their image's root file system.
    pub image: Vec<ImageChoice>,
    /// Run every container from its image that is not replaced by another option.
    pub all_images: bool,
    /// Logins for registries, before those of docker.
    pub logins: Option<Arc<dyn LoginSource>>,
    /// Containers that do not start.
    pub skip: Vec<String>,
    /// Containers to replace with stubs.
    pub stub: Vec<Stub>,
    /// Divisor of the intervals and start periods of health checks; at least 1.
    pub fast_health: u32,
    /// Whether events are for programs, so that nothing else is printed.
    pub json: bool,
    /// Stop once all containers are ready.
    pub until_ready: bool,
    /// Stop once all containers are ready and HEALTHY.
    pub until_healthy: bool,
    /// Return once the task is RUNNING and HEALTHY.
    pub wait: bool,
    /// The number of tasks behind one listener.
    pub count: Option<u8>,
    /// Restart a container when its program changes.
    pub watch: bool,
    /// The name of the run.
    pub name: Option<String>,
    /// The container whose exit code is the run's.
    pub exit_code_from: Option<String>,
    /// Stop after this time.
    pub timeout: Option<Duration>,
    /// Publish ports on 0.0.0.0 instead of 127.0.0.1.
    pub bind_all: bool,
    /// Whether cpu and memory limits are enforced.
    pub limits: Limits,
    /// The network of the task.
    pub net: Net,
    /// Ports to publish besides those of `portMappings`.
    pub publish: Vec<PublishedPort>,
    /// Addresses that the task may reach.
    pub reach: Vec<Reach>,
}
