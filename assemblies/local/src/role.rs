//! The role of a process. Background processes and replicas are the same program, started again with the same
//! arguments and one hidden option of `up`, which tells them apart.

use std::ffi::OsString;
use std::net::Ipv4Addr;

use crate::TaskIdentity;

/// The role of a process of `up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Started by a user or another program.
    Foreground,
    /// Started by [`run_detached`](crate::run_detached), for the run with this name.
    Background {
        /// The name of the run.
        name: String,
    },
    /// Started by [`run_replicas`](crate::run_replicas): one task of a service.
    Replica {
        /// The number of the replica, from 1.
        number: u8,
    },
    /// Started as a [`TaskProcess`](crate::TaskProcess) of another program, which gave the task its identity.
    Task(TaskIdentity),
}

impl Role {
    /// The option that gives a background process the name of its run: `--background NAME`.
    pub const BACKGROUND: &str = "background";
    /// The option that gives a replica its number: `--replica N`.
    pub const REPLICA: &str = "replica";
    /// The option that gives a task its identity: `--task REGION/ACCOUNT/CLUSTER/ID/REVISION/ADDRESS[/SERVICE]`.
    pub const TASK: &str = "task";

    /// Returns the role for the values of the options.
    pub fn from_options(
        background: Option<&str>,
        replica: Option<u8>,
        task: Option<TaskIdentity>,
    ) -> Self {
        match (background, replica, task) {
            (_, _, Some(identity)) => Self::Task(identity),
            (_, Some(number), None) => Self::Replica { number },
            (Some(name), None, None) => Self::Background {
                name: name.to_owned(),
            },
            (None, None, None) => Self::Foreground,
        }
    }

    /// Returns whether this is the background process of a detached run.
    pub fn is_background(&self) -> bool {
        matches!(self, Self::Background { .. })
    }

    /// Returns whether this is one task of a service.
    pub fn is_replica(&self) -> bool {
        matches!(self, Self::Replica { .. })
    }

    /// Returns whether another process started this one and watches it.
    pub(crate) fn is_child(&self) -> bool {
        matches!(self, Self::Replica { .. } | Self::Task(_))
    }

    /// Returns the identity that another program gave to the task.
    pub(crate) fn identity(&self) -> Option<&TaskIdentity> {
        match self {
            Self::Task(identity) => Some(identity),
            _ => None,
        }
    }

    /// Returns the address on which the ports of the task are published, if it is its own.
    pub(crate) fn address(&self) -> Option<Ipv4Addr> {
        self.identity().map(|identity| identity.address)
    }

    /// Returns the number of the replica.
    pub(crate) fn replica(&self) -> Option<u8> {
        match self {
            Self::Replica { number } => Some(*number),
            Self::Foreground | Self::Background { .. } | Self::Task(_) => None,
        }
    }

    /// Returns the run of the service, if the run `name` of this process is a replica.
    pub(crate) fn service_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        if let Self::Task(identity) = self {
            return identity.service.as_deref();
        }
        name.strip_suffix(&format!("-{}", self.replica()?))
    }
}

/// Adds options to the arguments of this program, before a `--` that ends its options.
pub(crate) fn add_options<T: Into<OsString>>(
    mut arguments: Vec<OsString>,
    options: impl IntoIterator<Item = T>,
) -> Vec<OsString> {
    let end = arguments.iter().position(|argument| argument == "--");
    let end = end.unwrap_or(arguments.len());
    arguments.splice(end..end, options.into_iter().map(Into::into));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_service_of_a_replica() {
        let role = Role::from_options(None, Some(2), None);
        assert_eq!(role.service_of("shop-2"), Some("shop"));
        assert_eq!(role.service_of("shop-12"), None);
        assert_eq!(Role::Foreground.service_of("shop-2"), None);
    }

    #[test]
    fn adds_options_before_the_end_of_the_options() {
        for (line, expected) in [
            ("up shop", "up shop --replica 2"),
            ("up -- shop", "up --replica 2 -- shop"),
        ] {
            let arguments = line.split(' ').map(OsString::from).collect();
            let added = add_options(arguments, ["--replica", "2"]);
            assert_eq!(added, expected.split(' ').collect::<Vec<_>>());
        }
    }
}
