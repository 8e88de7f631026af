//! The role that starts tasks for new objects: of an EventBridge rule, or of a pipe behind a queue.

use serde_json::json;

use super::{EVENTS, PIPE, Role, Statement, equals, object, role_name};
use crate::plan::Plan;

/// Returns the role that starts tasks, or `None` for a service, since ECS starts its tasks.
pub(super) fn role(plan: &Plan, cluster: &str) -> Option<Role> {
    let on_demand = plan.on_demand()?;
    let account = &plan.wiring.assembly.account;
    let name = plan.name();
    // Rule and pipe start the same task; only the pipe also reads a queue.
    let mut statements = run_task_statements(plan, cluster);

    if !on_demand.queue {
        return Some(Role {
            suffix: EVENTS,
            name: role_name(name, EVENTS),
            purpose: "starting a task for an event",
            service: "events.amazonaws.com",
            source: account.arn("events", &format!("rule/{name}")),
            statements,
        });
    }

    statements.insert(0, receive_statement(account.arn("sqs", name)));
    Some(Role {
        suffix: PIPE,
        name: role_name(name, PIPE),
        purpose: "starting a task for an event in the queue",
        service: "pipes.amazonaws.com",
        source: account.arn("pipes", &format!("pipe/{name}")),
        statements,
    })
}

fn run_task_statements(plan: &Plan, cluster: &str) -> Vec<Statement> {
    let account = &plan.wiring.assembly.account;
    let (name, definition) = (plan.name(), plan.definition());
    let roles = [&definition.execution_role_arn, &definition.task_role_arn];
    let cluster_arn = account.arn("ecs", &format!("cluster/{cluster}"));
    let statement = |sid: &str, action: &str, resources, condition, why: &str| Statement {
        sid: sid.to_owned(),
        actions: vec![action.to_owned()],
        resources,
        condition,
        component: "on_demand".to_owned(),
        why: why.to_owned(),
    };

    vec![
        statement(
            "StartTask",
            "ecs:RunTask",
            vec![account.arn("ecs", &format!("task-definition/{name}:*"))],
            object(json!({ "ArnEquals": { "ecs:cluster": cluster_arn } })),
            "starts any revision of the task, in this cluster only",
        ),
        // RunTask passes the roles of the definition, so the caller needs iam:PassRole for both.
        statement(
            "PassRoles",
            "iam:PassRole",
            roles.into_iter().flatten().cloned().collect(),
            equals("iam:PassedToService", "ecs-tasks.amazonaws.com"),
            "passes the roles to the task, and to no other service",
        ),
        statement(
            "TagTask",
            "ecs:TagResource",
            vec![account.arn("ecs", &format!("task/{cluster}/*"))],
            equals("ecs:CreateAction", "RunTask"),
            "tags the task when it starts, for cost allocation",
        ),
    ]
}

fn receive_statement(queue: String) -> Statement {
    let actions = ["DeleteMessage", "GetQueueAttributes", "ReceiveMessage"];
    Statement {
        sid: "ReceiveEvents".to_owned(),
        actions: actions.map(|action| format!("sqs:{action}")).to_vec(),
        resources: vec![queue],
        component: "on_demand".to_owned(),
        why: "reads events from the queue and deletes them".to_owned(),
        ..Statement::default()
    }
}
