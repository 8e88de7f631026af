//! The caller, the roles of the task, and service-linked roles.

use std::collections::BTreeMap;

use serde_json::json;

use super::check::{Check, CheckGroup, CheckOutcome};
use super::reader::{Answer, Reader, join_all};
use super::request::{RoleKind, RoleStatement, VerifyRequest};
use super::{policies, text, trust};
use crate::api::{Api, Operation};
use crate::partition::Partition;

/// Roles, and what IAM says about permissions.
#[derive(Debug)]
pub(super) struct Roles {
    caller: Answer,
    /// By the name of the role.
    roles: BTreeMap<String, Answer>,
    /// Whether the caller may pass each role, by ARN.
    passes: Vec<(RoleKind, String, Answer)>,
    simulated: Vec<(RoleStatement, Answer)>,
}

impl Roles {
    pub(super) async fn collect(reader: &Reader<'_, impl Api>, request: &VerifyRequest) -> Self {
        let kinds = [RoleKind::Execution, RoleKind::Task];
        let arns: Vec<_> = kinds
            .into_iter()
            .filter_map(|kind| Some((kind, request.role(kind)?.to_owned())))
            .collect();

        let own = arns.iter().map(|(_, arn)| role_name(arn).to_owned());
        let linked = linked_roles(request);
        let linked = linked.iter().map(|linked| linked.role.to_owned());
        let roles = join_all(own.chain(linked).map(async |name| {
            let body = json!({ "RoleName": name });
            (name, reader.ask(Operation::GetRole, body).await)
        }));

        let passes = async {
            let caller = reader.ask(Operation::GetCallerIdentity, json!({})).await;
            let principal = principal(reader, text(caller.value(), "Arn")).await;
            let passes = arns.iter().map(async |(kind, arn)| {
                let answer = match &principal {
                    Ok(principal) => ask_to_pass(reader, principal, arn).await,
                    Err(answer) => answer.clone(),
                };
                (*kind, arn.clone(), answer)
            });
            let passes = join_all(passes).await;
            (caller, passes)
        };

        let simulated = policies::simulate(reader, request, policies::statements(request));

        let (roles, (caller, passes), simulated) = tokio::join!(roles, passes, simulated);
        Self {
            caller,
            roles: roles.into_iter().collect(),
            passes,
            simulated,
        }
    }

    /// Returns the checks of the caller, the roles, their policies, and the service-linked roles.
    pub(super) fn checks(&self, request: &VerifyRequest) -> Vec<Check> {
        let mut checks = vec![self.account(request)];
        checks.extend(self.passes.iter().map(|(kind, arn, answer)| {
            let name = format!("iam:PassRole of the {}", kind.as_str());
            Check::new(CheckGroup::Caller, name, self.pass(arn, answer))
        }));

        for kind in [RoleKind::Execution, RoleKind::Task] {
            if let Some(arn) = request.role(kind) {
                let name = format!("{} {}", kind.as_str(), role_name(arn));
                checks.push(Check::new(CheckGroup::Roles, name, self.role(arn, request)));
            } else if kind == RoleKind::Execution {
                checks.extend(missing_execution_role(request));
            }
        }

        checks.extend(policies::checks(request, &self.simulated, |kind| {
            let name = request.role(kind).map(role_name).unwrap_or_default();
            matches!(self.roles.get(name), Some(Answer::Missing(_)))
        }));

        checks.extend(linked_roles(request).into_iter().map(|linked| {
            let outcome = self.check_linked(&linked, request);
            Check::new(CheckGroup::LinkedRoles, linked.role, outcome)
        }));

        checks
    }

    fn account(&self, request: &VerifyRequest) -> Check {
        let (arn, account) = (
            text(self.caller.value(), "Arn"),
            text(self.caller.value(), "Account"),
        );
        let outcome = match (&request.account, self.caller.unknown()) {
            (_, Some(unknown)) => unknown.into(),
            (Some(expected), None) if expected != account => CheckOutcome::fail(
                format!("the task is for account {expected}, and the credentials are of {account}"),
                "log in to that account (`--profile NAME`), or pass other values",
            ),
            _ => CheckOutcome::ok(arn),
        };
        Check::new(CheckGroup::Caller, "account", outcome)
    }

    fn pass(&self, arn: &str, answer: &Answer) -> CheckOutcome {
        let caller = text(self.caller.value(), "Arn");
        match answer {
            Answer::Found(response) if policies::denied_actions(response).is_empty() => {
                CheckOutcome::ok(caller)
            }
            Answer::Found(_) => CheckOutcome::fail(
                format!("{caller} may not pass {arn} to ECS"),
                "allow it: `assemble permissions register` prints the policy",
            ),
            Answer::Missing(message) => CheckOutcome::skip(message.clone()),
            Answer::Unknown(unknown) => unknown.into(),
        }
    }

    fn role(&self, arn: &str, request: &VerifyRequest) -> CheckOutcome {
        let response = match self.roles.get(role_name(arn)) {
            Some(Answer::Found(response)) => response,
            Some(Answer::Missing(_)) if request.is_before_stack => {
                return CheckOutcome::skip("the stack creates it");
            }
            Some(Answer::Missing(message)) => {
                return CheckOutcome::fail(
                    message.clone(),
                    "create it: `assemble render` writes its policy and trust; with `--stack`, roles that the stack creates \
                     may be missing",
                );
            }
            Some(Answer::Unknown(unknown)) => return unknown.into(),
            None => return CheckOutcome::skip("not read"),
        };

        let role = &response["Role"];
        if text(role, "Arn") != arn {
            return CheckOutcome::fail(
                format!("the role of this name is {}", text(role, "Arn")),
                "correct the account or the path in the ARN of the role",
            );
        }

        // Tasks run in the account of their roles: ECS accepts no others.
        let account = arn.split(':').nth(4).unwrap_or_default();
        let region = &request.region;
        let partition = Partition::from_region(region).name();
        let source = format!("arn:{partition}:ecs:{region}:{account}:*");
        match trust::refusal(text(role, "AssumeRolePolicyDocument"), account, &source) {
            None => CheckOutcome::ok("ecs-tasks.amazonaws.com may assume it"),
            Some(problem) => CheckOutcome::fail(
                problem,
                format!(
                    "aws iam update-assume-role-policy --role-name {} --policy-document file://trust.json; \
                     `assemble render` writes it",
                    role_name(arn)
                ),
            ),
        }
    }

    fn check_linked(&self, linked: &LinkedRole, request: &VerifyRequest) -> CheckOutcome {
        match self.roles.get(linked.role) {
            Some(Answer::Found(_)) => CheckOutcome::ok(linked.service),
            Some(Answer::Missing(_)) if request.is_before_stack => {
                CheckOutcome::skip("AWS creates it with the first resource that needs it")
            }
            Some(Answer::Missing(_)) => CheckOutcome::fail(
                "it does not exist in this account",
                format!(
                    "aws iam create-service-linked-role --aws-service-name {}",
                    linked.service
                ),
            ),
            Some(Answer::Unknown(unknown)) => unknown.into(),
            None => CheckOutcome::skip("not read"),
        }
    }
}

/// Returns a failure if ECS needs a role that the definition does not have.
fn missing_execution_role(request: &VerifyRequest) -> Option<Check> {
    let needs = policies::statements(request);
    let needs = needs
        .iter()
        .find(|statement| statement.role == RoleKind::Execution)?;
    let outcome = CheckOutcome::fail(
        format!("the task definition has no execution role; {}", needs.why),
        "set `executionRoleArn`",
    );
    Some(Check::new(CheckGroup::Roles, "execution role", outcome))
}

/// Returns the ARN whose policies apply to the caller: of a session, that of its role.
async fn principal(reader: &Reader<'_, impl Api>, arn: &str) -> Result<String, Answer> {
    let Some((start, session)) = arn.split_once(":assumed-role/") else {
        if arn.is_empty() {
            return Err(Answer::not_asked("the caller is not known"));
        }
        if arn.ends_with(":root") {
            return Err(Answer::not_asked(
                "the caller is the root user, which no policy restricts",
            ));
        }
        return Ok(arn.to_owned());
    };

    // The ARN of a session has no path: arn:aws:sts::111122223333:assumed-role/Admin/name.
    let name = session.split('/').next().unwrap_or_default();
    let body = json!({ "RoleName": name });
    // Without the permission the role is taken for one without a path, as most are.
    match reader.ask(Operation::GetRole, body).await {
        Answer::Found(response) => Ok(text(&response["Role"], "Arn").to_owned()),
        _ => Ok(format!("{}:role/{name}", start.replace(":sts:", ":iam:"))),
    }
}

async fn ask_to_pass(reader: &Reader<'_, impl Api>, principal: &str, role: &str) -> Answer {
    // The condition of most policies for PassRole.
    let service = json!({ "ContextKeyName": "iam:PassedToService", "ContextKeyType": "string",
        "ContextKeyValues": ["ecs-tasks.amazonaws.com"] });
    let body = json!({ "PolicySourceArn": principal, "ActionNames": ["iam:PassRole"],
        "ResourceArns": [role], "ContextEntries": [service] });
    reader.ask(Operation::SimulatePrincipalPolicy, body).await
}

/// A role that AWS creates for one of its services.
#[derive(Debug, Clone, Copy)]
struct LinkedRole {
    role: &'static str,
    service: &'static str,
}

/// Source: "Using service-linked roles" in the guides of ECS, Elastic Load Balancing and Application Auto Scaling.
fn linked_roles(request: &VerifyRequest) -> Vec<LinkedRole> {
    let linked = |role, service| LinkedRole { role, service };
    let mut roles = vec![linked("AWSServiceRoleForECS", "ecs.amazonaws.com")];
    if request.public.is_some() {
        roles.push(linked(
            "AWSServiceRoleForElasticLoadBalancing",
            "elasticloadbalancing.amazonaws.com",
        ));
    }

    if request.has_scaling {
        roles.push(linked(
            "AWSServiceRoleForApplicationAutoScaling_ECSService",
            "ecs.application-autoscaling.amazonaws.com",
        ));
    }

    roles
}

/// Returns the name of a role, without its path.
fn role_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
