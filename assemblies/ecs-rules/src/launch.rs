//! Requests that launch a task definition: a service, or a call of RunTask.

use task_definition::{
    CapacityProviderItem, NetworkConfiguration, RunTask, Service, TaskDefinition,
};

/// A service or a RunTask request.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// The input of CreateService.
    Service(Box<Service>),
    /// The input of RunTask.
    RunTask(Box<RunTask>),
}

impl Request {
    /// Returns family, `family:revision` or ARN of the task definition.
    pub fn task_definition(&self) -> Option<&str> {
        match self {
            Self::Service(service) => service.task_definition.as_deref(),
            Self::RunTask(run) => Some(&run.task_definition),
        }
    }

    /// Returns the launch type, if it is set.
    pub fn launch_type(&self) -> Option<&str> {
        match self {
            Self::Service(service) => service.launch_type.as_deref(),
            Self::RunTask(run) => run.launch_type.as_deref(),
        }
    }

    /// Returns the capacity provider strategy.
    pub fn capacity_providers(&self) -> &[CapacityProviderItem] {
        match self {
            Self::Service(service) => &service.capacity_provider_strategy,
            Self::RunTask(run) => &run.capacity_provider_strategy,
        }
    }

    /// Returns the network configuration of the tasks.
    pub fn network(&self) -> Option<&NetworkConfiguration> {
        match self {
            Self::Service(service) => service.network_configuration.as_ref(),
            Self::RunTask(run) => run.network_configuration.as_ref(),
        }
    }

    /// Returns whether the request itself selects Fargate, by launch type or capacity provider.
    pub fn is_fargate(&self) -> bool {
        let mut providers = self.capacity_providers().iter();
        self.launch_type() == Some("FARGATE")
            || providers
                .any(|provider| matches!(&*provider.capacity_provider, "FARGATE" | "FARGATE_SPOT"))
    }

    /// Returns the noun for messages.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Service(_) => "the service",
            Self::RunTask(_) => "the request",
        }
    }
}

/// The input of a launch rule: a service or RunTask request beside its task definition.
#[derive(Debug, Clone, Copy)]
pub struct LaunchContext<'s> {
    /// The service or RunTask request.
    pub request: &'s Request,
    /// The task definition it uses, if known.
    pub definition: Option<&'s TaskDefinition>,
}

impl<'s> LaunchContext<'s> {
    /// Returns the service, if the request is one.
    pub fn service(&self) -> Option<&'s Service> {
        match self.request {
            Request::Service(service) => Some(service),
            Request::RunTask(_) => None,
        }
    }

    /// Returns the RunTask request, if it is one.
    pub fn run_task(&self) -> Option<&'s RunTask> {
        match self.request {
            Request::RunTask(run) => Some(run),
            Request::Service(_) => None,
        }
    }
}
