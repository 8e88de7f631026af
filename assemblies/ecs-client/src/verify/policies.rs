//! The permissions of the roles, as the policy simulator of IAM computes them.

use serde_json::{Value, json};

use super::check::{Check, CheckGroup, CheckOutcome};
use super::items;
use super::paths::EcrRepository;
use super::reader::{Answer, Reader, join_all};
use super::request::{RoleKind, RoleStatement, VerifyRequest};
use super::secret_reference::SecretReference;
use super::text;
use crate::api::{Api, Operation};

/// Asks IAM about each statement, all at the same time.
pub(super) async fn simulate(
    reader: &Reader<'_, impl Api>,
    request: &VerifyRequest,
    statements: Vec<RoleStatement>,
) -> Vec<(RoleStatement, Answer)> {
    let answers = statements.into_iter().map(async |statement| {
        let Some(role) = request.role(statement.role) else {
            return (statement, Answer::not_asked("the task has no such role"));
        };
        let body = json!({ "PolicySourceArn": role, "ActionNames": statement.actions,
            "ResourceArns": statement.resources, "ContextEntries": context(&statement.condition) });
        let answer = reader.ask(Operation::SimulatePrincipalPolicy, body).await;
        (statement, answer)
    });
    join_all(answers).await
}

/// Returns the values with which a condition is met: those that it names itself.
fn context(condition: &Value) -> Value {
    let tests = condition
        .as_object()
        .into_iter()
        .flat_map(|tests| tests.values());
    let keys = tests.filter_map(Value::as_object).flatten();
    let entries = keys.map(|(key, value)| {
        let values: Vec<_> = match value {
            Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
            value => value.as_str().into_iter().collect(),
        };
        json!({ "ContextKeyName": key, "ContextKeyValues": values, "ContextKeyType": "string" })
    });
    entries.collect()
}

/// Returns a check for each statement.
pub(super) fn checks(
    request: &VerifyRequest,
    simulated: &[(RoleStatement, Answer)],
    is_missing: impl Fn(RoleKind) -> bool,
) -> Vec<Check> {
    simulated
        .iter()
        .map(|(statement, answer)| {
            let name = format!("{}: {}", statement.role.as_str(), statement.sid);
            let outcome = if is_missing(statement.role) {
                CheckOutcome::skip("the role does not exist")
            } else {
                check(request, statement, answer)
            };
            Check::new(CheckGroup::Policies, name, outcome)
        })
        .collect()
}

fn check(request: &VerifyRequest, statement: &RoleStatement, answer: &Answer) -> CheckOutcome {
    let response = match answer {
        Answer::Found(response) => response,
        Answer::Missing(message) => return CheckOutcome::skip(message.clone()),
        Answer::Unknown(unknown) => return unknown.into(),
    };

    // An action that a boundary or an organization denies is denied here as well.
    let denied = denied_actions(response);
    if denied.is_empty() {
        return CheckOutcome::ok(statement.why.clone());
    }
    // Keys that the request of ECS has and the simulation does not: the result is not that of the real call.
    let missing: Vec<_> = items(&response["EvaluationResults"])
        .flat_map(|result| items(&result["MissingContextValues"]))
        .filter_map(Value::as_str)
        .collect();

    if !missing.is_empty() {
        return CheckOutcome::skip(format!("depends on {}", missing.join(", ")));
    }

    let role = request.role(statement.role).unwrap_or_default();
    CheckOutcome::fail(
        format!("denied: {} ({})", denied.join(", "), statement.why),
        format!(
            "allow {} on {} in {role}; `assemble render` writes the policy",
            statement.actions.join(", "),
            statement.resources.join(", ")
        ),
    )
}

/// Returns what a simulation denies: the actions, with their resources.
pub(super) fn denied_actions(response: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for result in items(&response["EvaluationResults"]) {
        let action = text(result, "EvalActionName");
        let specific: Vec<_> = items(&result["ResourceSpecificResults"]).collect();
        if specific.is_empty() && result["EvalDecision"] != ALLOWED {
            found.push(format!("{action} on {}", text(result, "EvalResourceName")));
        }
        // With several resources, the decision for all of them is that for the first.
        let each = specific.into_iter();
        let each = each.filter(|result| result["EvalResourceDecision"] != ALLOWED);
        found
            .extend(each.map(|result| format!("{action} on {}", text(result, "EvalResourceName"))));
    }
    found
}

/// Returns the statements of a request; those of a plain definition are derived from it.
pub(super) fn statements(request: &VerifyRequest) -> Vec<RoleStatement> {
    if !request.statements.is_empty() {
        return request.statements.clone();
    }
    let mut statements = pull_statements(request);
    statements.extend(log_statement(request));
    statements.extend(secret_statements(request));
    statements
}

fn execution(sid: &str, actions: &[&str], resources: Vec<String>, why: &str) -> RoleStatement {
    RoleStatement {
        role: RoleKind::Execution,
        sid: sid.to_owned(),
        actions: actions.iter().map(|action| (*action).to_owned()).collect(),
        resources,
        condition: Value::Null,
        why: why.to_owned(),
    }
}

/// Source: "Amazon ECS task execution IAM role" in the ECS developer guide.
fn pull_statements(request: &VerifyRequest) -> Vec<RoleStatement> {
    let containers = request.definition.container_definitions.iter();
    let repositories = containers.filter_map(|container| EcrRepository::parse(&container.image));
    let mut arns: Vec<_> = repositories
        .map(|repository| {
            let EcrRepository {
                account,
                region,
                name,
            } = repository;
            format!(
                "arn:{}:ecr:{region}:{account}:repository/{name}",
                partition(&region)
            )
        })
        .collect();

    arns.sort();
    arns.dedup();
    if arns.is_empty() {
        return Vec::new();
    }

    let pull = [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    ];

    vec![
        execution(
            "LogInToRegistry",
            &["ecr:GetAuthorizationToken"],
            vec!["*".to_owned()],
            "ECS logs in to ECR",
        ),
        execution("PullImages", &pull, arns, "ECS pulls the images"),
    ]
}

fn log_statement(request: &VerifyRequest) -> Option<RoleStatement> {
    let account = account(request)?;
    let containers = request.definition.container_definitions.iter();
    let mut arns: Vec<_> = containers
        .filter_map(|container| {
            let logs = container.log_configuration.as_ref()?;
            let region = logs.options.get("awslogs-region")?;
            let group = logs.options.get("awslogs-group")?;
            let partition = partition(region);
            Some(format!(
                "arn:{partition}:logs:{region}:{account}:log-group:{group}:*"
            ))
        })
        .collect();

    arns.sort();
    arns.dedup();

    let actions = ["logs:CreateLogStream", "logs:PutLogEvents"];
    (!arns.is_empty()).then(|| execution("WriteLogs", &actions, arns, "ECS writes the output"))
}

fn secret_statements(request: &VerifyRequest) -> Vec<RoleStatement> {
    let (mut secrets, mut parameters) = (Vec::new(), Vec::new());
    for secret in request
        .definition
        .container_definitions
        .iter()
        .flat_map(|container| &container.secrets)
    {
        match SecretReference::parse(&secret.value_from) {
            SecretReference::Secret { arn, .. } => secrets.push(arn),
            SecretReference::Parameter { name, region } => {
                let region = if region.is_empty() {
                    &request.region
                } else {
                    &region
                };
                let name = name.trim_start_matches('/');
                if let Some(account) = account(request) {
                    let partition = partition(region);
                    parameters.push(format!(
                        "arn:{partition}:ssm:{region}:{account}:parameter/{name}"
                    ));
                }
            }
        }
    }

    let why = "ECS reads the secrets of the containers";
    let of = |sid, action, arns: Vec<String>| {
        (!arns.is_empty()).then(|| execution(sid, &[action], arns, why))
    };
    let secrets = of("ReadSecrets", "secretsmanager:GetSecretValue", secrets);
    let parameters = of("ReadParameters", "ssm:GetParameters", parameters);
    secrets.into_iter().chain(parameters).collect()
}

/// Returns the account of the execution role.
fn account(request: &VerifyRequest) -> Option<&str> {
    request.role(RoleKind::Execution)?.split(':').nth(4)
}

fn partition(region: &str) -> &'static str {
    crate::partition::Partition::from_region(region).name()
}

const ALLOWED: &str = "allowed";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{context, denied_actions};

    #[test]
    fn several_resources_have_their_own_decisions() {
        let result = |decision, specific| {
            json!({ "EvaluationResults": [{ "EvalActionName": "s3:GetObject", "EvalResourceName": "a",
                "EvalDecision": decision, "ResourceSpecificResults": specific }] })
        };

        assert_eq!(
            denied_actions(&result("implicitDeny", json!(null))),
            ["s3:GetObject on a"]
        );

        assert!(denied_actions(&result("allowed", json!(null))).is_empty());

        let specific = json!([
            { "EvalResourceName": "a", "EvalResourceDecision": "allowed" },
            { "EvalResourceName": "b", "EvalResourceDecision": "explicitDeny" },
        ]);

        assert_eq!(
            denied_actions(&result("allowed", specific)),
            ["s3:GetObject on b"]
        );
    }

    #[test]
    fn conditions_are_met_with_their_own_values() {
        let condition =
            json!({ "StringEquals": { "iam:PassedToService": "ecs-tasks.amazonaws.com" } });
        assert_eq!(
            context(&condition),
            json!([{ "ContextKeyName": "iam:PassedToService",
                "ContextKeyValues": ["ecs-tasks.amazonaws.com"], "ContextKeyType": "string" }])
        );
    }
}
