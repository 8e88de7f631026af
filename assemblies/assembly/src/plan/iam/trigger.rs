//! What starts tasks when an object lands: a rule of EventBridge, or a pipe behind a queue.

use serde_json::json;

use super::{EVENTS, PIPE, Role, Statement, equals, object, role_name};
use crate::plan::Plan;

/// The role of whoever starts tasks; none for a service, which ECS starts by itself.
pub(super) fn role(plan: &Plan, cluster: &str) -> Option<Role> {
    let on_demand = plan.on_demand()?;
    let account = &plan.wiring.assembly.account;
    let name = plan.name();
    let mut statements = start(plan, cluster);

    if !on_demand.queue {
        return Some(Role {
            word: EVENTS,
            name: role_name(name, EVENTS),
            purpose: "starting a task for an event",
            trusted: "events.amazonaws.com",
            source: account.arn("events", &format!("rule/{name}")),
            statements,
        });
    }

    statements.insert(0, receive(account.arn("sqs", name)));
    Some(Role {
        word: PIPE,
        name: role_name(name, PIPE),
        purpose: "starting a task for an event that waits in the queue",
        trusted: "pipes.amazonaws.com",
        source: account.arn("pipes", &format!("pipe/{name}")),
        statements,
    })
}

fn start(plan: &Plan, cluster: &str) -> Vec<Statement> {
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
            "starts the task, any revision, in this cluster only",
        ),
        statement(
            "HandOverRoles",
            "iam:PassRole",
            roles.into_iter().flatten().cloned().collect(),
            equals("iam:PassedToService", "ecs-tasks.amazonaws.com"),
            "gives the task its roles, and gives them to nobody else",
        ),
        statement(
            "TagTask",
            "ecs:TagResource",
            vec![account.arn("ecs", &format!("task/{cluster}/*"))],
            equals("ecs:CreateAction", "RunTask"),
            "tags the task while it is started, so that its cost can be told",
        ),
    ]
}

fn receive(queue: String) -> Statement {
    let actions = ["DeleteMessage", "GetQueueAttributes", "ReceiveMessage"];
    Statement {
        sid: "TakeEvents".to_owned(),
        actions: actions.map(|action| format!("sqs:{action}")).to_vec(),
        resources: vec![queue],
        component: "on_demand".to_owned(),
        why: "takes events out of the queue".to_owned(),
        ..Statement::default()
    }
}
