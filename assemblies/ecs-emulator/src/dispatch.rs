//! Finds the operation of a call.

use serde_json::Value;

use crate::api_error::ApiError;
use crate::request::Call;
use crate::state::State;
use crate::{clusters, scaling_targets, services, settings, tags, task_definitions, tasks};

/// An operation: a function from the state and a call to a response.
pub(crate) type Operation = fn(&mut State, &Call) -> Result<Value, ApiError>;

/// The value of `X-Amz-Target` before the operation, by service.
pub(crate) const ECS_TARGET: &str = "AmazonEC2ContainerServiceV20141113";

/// That of Application Auto Scaling.
pub(crate) const SCALING_TARGET: &str = "AnyScaleFrontendService";

/// Returns an operation of ECS by its name.
pub(crate) fn find_ecs(name: &str) -> Result<Operation, ApiError> {
    // Names are those of the API; a client sends them after the dot of `X-Amz-Target`.
    Ok(match name {
        "CreateCluster" => clusters::create,
        "DescribeClusters" => clusters::describe,
        "ListClusters" => clusters::list,
        "DeleteCluster" => clusters::delete,
        "UpdateCluster" | "UpdateClusterSettings" => clusters::update,
        "PutClusterCapacityProviders" => clusters::put_capacity_providers,
        "RegisterTaskDefinition" => task_definitions::register,
        "DescribeTaskDefinition" => task_definitions::describe,
        "DeregisterTaskDefinition" => task_definitions::deregister,
        "DeleteTaskDefinitions" => task_definitions::delete,
        "ListTaskDefinitions" => task_definitions::list,
        "ListTaskDefinitionFamilies" => task_definitions::list_families,
        "RunTask" => tasks::run,
        "StopTask" => tasks::stop,
        "DescribeTasks" => tasks::describe,
        "ListTasks" => tasks::list,
        "ExecuteCommand" => tasks::execute_command,
        "GetTaskProtection" => tasks::get_protection,
        "UpdateTaskProtection" => tasks::update_protection,
        "ListContainerInstances" => tasks::list_container_instances,
        "DescribeCapacityProviders" => settings::describe_capacity_providers,
        "ListAccountSettings" => settings::list,
        "PutAccountSetting" | "PutAccountSettingDefault" => settings::put,
        "DeleteAccountSetting" => settings::delete,
        "CreateService" => services::create,
        "UpdateService" => services::update,
        "DeleteService" => services::delete,
        "DescribeServices" => services::describe,
        "ListServices" => services::list,
        "ListServicesByNamespace" => services::list_by_namespace,
        "DescribeServiceDeployments" => services::describe_deployments,
        "ListServiceDeployments" => services::list_deployments,
        "DescribeServiceRevisions" => services::describe_revisions,
        "StopServiceDeployment" => services::stop_deployment,
        "ContinueServiceDeployment" => services::continue_deployment,
        "TagResource" => tags::tag,
        "UntagResource" => tags::untag,
        "ListTagsForResource" => tags::list,
        _ => return Err(unknown_operation(name)),
    })
}

/// Returns an operation of Application Auto Scaling by its name.
pub(crate) fn find_scaling(name: &str) -> Result<Operation, ApiError> {
    Ok(match name {
        "RegisterScalableTarget" => scaling_targets::register,
        "DescribeScalableTargets" => scaling_targets::describe_targets,
        "DeregisterScalableTarget" => scaling_targets::deregister,
        "PutScalingPolicy" => scaling_targets::put_policy,
        "DescribeScalingPolicies" => scaling_targets::describe_policies,
        "DeleteScalingPolicy" => scaling_targets::delete_policy,
        "PutScheduledAction" => scaling_targets::put_action,
        "DescribeScheduledActions" => scaling_targets::describe_actions,
        "DeleteScheduledAction" => scaling_targets::delete_action,
        "DescribeScalingActivities" => scaling_targets::describe_activities,
        _ => return Err(unknown_operation(name)),
    })
}

/// Returns the error for an operation that the emulator does not have.
pub(crate) fn unknown_operation(name: &str) -> ApiError {
    let message =
        format!("the ECS emulator does not have the operation '{name}'; see docs/emulator.md");
    ApiError::new("UnknownOperationException", message)
}
