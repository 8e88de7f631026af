//! How this process was started. Background processes and replicas are the same program, started again with the same
//! arguments; the environment tells them apart.

use std::env;

/// How this process was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// By a user or another program.
    Foreground,
    /// By [`run_detached`](crate::run_detached), for the run with this name.
    Background {
        /// The name of the run.
        name: String,
    },
    /// By [`run_replicas`](crate::run_replicas): one task of a service.
    Replica {
        /// The number of the replica, from 1.
        number: String,
    },
}

impl Role {
    /// Reads the variables that a parent process sets.
    pub fn from_environment() -> Self {
        let read = |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        if let Some(number) = read(REPLICA) {
            return Self::Replica { number };
        }
        read(RUN_NAME).map_or(Self::Foreground, |name| Self::Background { name })
    }

    /// Returns whether this is the background process of a detached run.
    pub fn is_background(&self) -> bool {
        matches!(self, Self::Background { .. })
    }

    /// Returns whether this is one task of a service.
    pub fn is_replica(&self) -> bool {
        matches!(self, Self::Replica { .. })
    }

    /// Returns the number of the replica.
    pub(crate) fn replica(&self) -> Option<&str> {
        match self {
            Self::Replica { number } => Some(number),
            Self::Foreground | Self::Background { .. } => None,
        }
    }

    /// Returns the run of the service, if the run `name` of this process is a replica.
    pub(crate) fn service_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_suffix(&format!("-{}", self.replica()?))
    }
}

/// The variable that gives a background process the name of its run.
pub(crate) const RUN_NAME: &str = "ASSEMBLE_RUN";
/// The variable that gives a replica its number.
pub(crate) const REPLICA: &str = "ASSEMBLE_TASK";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_service_of_a_replica() {
        let role = Role::Replica {
            number: "2".to_owned(),
        };
        assert_eq!(role.service_of("shop-2"), Some("shop"));
        assert_eq!(role.service_of("shop-12"), None);
        assert_eq!(Role::Foreground.service_of("shop-2"), None);
    }
}
