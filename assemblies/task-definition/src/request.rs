//! What a task definition is used for: a service that runs it, or a request to run it once.

use crate::run_task::RunTask;
use crate::service::{CapacityProviderItem, NetworkConfiguration, Service};
use crate::task::TaskDefinition;

/// A service, or a request to run tasks.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// The input of CreateService.
    Service(Box<Service>),
    /// The input of RunTask.
    RunTask(Box<RunTask>),
}

impl Request {
    /// Family, `family:revision` or ARN of the definition that is used.
    pub fn task_definition(&self) -> Option<&str> {
        match self {
            Self::Service(service) => service.task_definition.as_deref(),
            Self::RunTask(run) => Some(&run.task_definition),
        }
    }

    /// The launch type, where one is given.
    pub fn launch_type(&self) -> Option<&str> {
        match self {
            Self::Service(service) => service.launch_type.as_deref(),
            Self::RunTask(run) => run.launch_type.as_deref(),
        }
    }

    /// The capacity provider strategy.
    pub fn capacity_providers(&self) -> &[CapacityProviderItem] {
        match self {
            Self::Service(service) => &service.capacity_provider_strategy,
            Self::RunTask(run) => &run.capacity_provider_strategy,
        }
    }

    /// The network of the tasks.
    pub fn network(&self) -> Option<&NetworkConfiguration> {
        match self {
            Self::Service(service) => service.network_configuration.as_ref(),
            Self::RunTask(run) => run.network_configuration.as_ref(),
        }
    }

    /// Whether tasks run on Fargate by what the request itself says.
    pub fn asks_for_fargate(&self) -> bool {
        let mut providers = self.capacity_providers().iter();
        self.launch_type() == Some("FARGATE")
            || providers.any(|one| matches!(&*one.capacity_provider, "FARGATE" | "FARGATE_SPOT"))
    }

    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Service(_) => "the service",
            Self::RunTask(_) => "the request",
        }
    }
}

/// What a rule about a service or a request reads.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'s> {
    /// The service or the request.
    pub request: &'s Request,
    /// The definition it uses, where that is known.
    pub definition: Option<&'s TaskDefinition>,
}

impl<'s> Situation<'s> {
    /// The service, if it is one.
    pub fn service(&self) -> Option<&'s Service> {
        match self.request {
            Request::Service(service) => Some(service),
            Request::RunTask(_) => None,
        }
    }

    /// The request to run tasks, if it is one.
    pub fn run_task(&self) -> Option<&'s RunTask> {
        match self.request {
            Request::RunTask(run) => Some(run),
            Request::Service(_) => None,
        }
    }
}
