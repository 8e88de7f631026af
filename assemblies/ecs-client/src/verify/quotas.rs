//! Quotas of Fargate and ECS, compared with the largest number of tasks.

use serde_json::{Value, json};

use super::check::{Check, CheckGroup, CheckOutcome};
use super::items;
use super::reader::{Answer, Reader};
use super::request::VerifyRequest;
use crate::api::{Api, Operation};

/// The quotas of the account.
#[derive(Debug)]
pub(super) struct Quotas {
    fargate: Answer,
    ecs: Answer,
}

impl Quotas {
    pub(super) async fn collect(reader: &Reader<'_, impl Api>, _: &VerifyRequest) -> Self {
        // By name: a quota that is not raised has the default value in the list, too.
        let list = |service: &'static str| {
            let body = json!({ "ServiceCode": service, "MaxResults": 100 });
            reader.ask_all(Operation::ListServiceQuotas, body, "Quotas")
        };
        let (fargate, ecs) = tokio::join!(list("fargate"), list("ecs"));
        Self { fargate, ecs }
    }

    /// Returns the checks. How much other tasks use is not known, so a quota that fits may still be too small.
    pub(super) fn checks(&self, request: &VerifyRequest) -> Vec<Check> {
        let tasks = f64::from(request.max_tasks);
        let cpu = request.definition.cpu.as_deref();
        let cpu = cpu.and_then(|cpu| cpu.parse::<f64>().ok()).unwrap_or(0.0);
        // A rolling deployment needs up to twice as many for a while, which ECS waits for.
        let vcpus = tasks * cpu / UNITS;
        [
            ("vCPUs of Fargate", &self.fargate, VCPUS, vcpus),
            ("tasks of a service", &self.ecs, TASKS, tasks),
        ]
        .into_iter()
        .map(|(name, answer, quota, needed)| {
            Check::new(CheckGroup::Quotas, name, check(answer, quota, needed))
        })
        .collect()
    }
}

fn check(answer: &Answer, name: &str, needed: f64) -> CheckOutcome {
    if let Some(unknown) = answer.unknown() {
        return unknown.into();
    }

    let quota: Option<&Value> = items(answer.value()).find(|quota| quota["QuotaName"] == name);
    let Some(value) = quota.and_then(|quota| quota["Value"].as_f64()) else {
        return CheckOutcome::skip(format!("Service Quotas has no `{name}`"));
    };
    if value >= needed {
        return CheckOutcome::ok(format!("{needed} of {value}, without other tasks"));
    }

    let code = quota.and_then(|quota| quota["QuotaCode"].as_str());
    let service = quota.and_then(|quota| quota["ServiceCode"].as_str());
    CheckOutcome::fail(
        format!("the largest number of tasks needs {needed}, and the quota is {value}"),
        format!(
            "aws service-quotas request-service-quota-increase --service-code {} --quota-code {} --desired-value {}",
            service.unwrap_or_default(),
            code.unwrap_or_default(),
            needed.ceil()
        ),
    )
}

/// CPU units of a vCPU.
const UNITS: f64 = 1024.0;
/// The names in "Amazon ECS endpoints and quotas", AWS General Reference.
const VCPUS: &str = "Fargate On-Demand vCPU resource count";
const TASKS: &str = "Tasks per service";
