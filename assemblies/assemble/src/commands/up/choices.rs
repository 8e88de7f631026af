//! The values of `--limits` and `--net`.

/// Whether cpu and memory limits are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Limits {
    /// As on Fargate, with cgroups where the host allows them.
    Task,
    /// All processors of the host; the memory limit is still enforced.
    Off,
}

impl From<Limits> for local::Limits {
    fn from(limits: Limits) -> Self {
        match limits {
            Limits::Task => Self::Task,
            Limits::Off => Self::Off,
        }
    }
}

/// The network of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Net {
    /// Its own, as on Fargate: only published ports and allowed outgoing connections cross its boundary.
    Task,
    /// The host's.
    Host,
}

impl From<Net> for local::Net {
    fn from(net: Net) -> Self {
        match net {
            Net::Task => Self::Task,
            Net::Host => Self::Host,
        }
    }
}
