//! The cluster.

use serde_json::{Value, json};

use super::check::{Check, CheckGroup, CheckOutcome};
use super::reader::{Answer, Reader};
use super::request::VerifyRequest;
use super::text;
use crate::api::{Api, Operation};

pub(super) async fn collect(reader: &Reader<'_, impl Api>, request: &VerifyRequest) -> Answer {
    match &request.place.cluster {
        Some(cluster) => {
            let body = json!({ "clusters": [cluster] });
            reader.ask(Operation::DescribeClusters, body).await
        }
        None => Answer::not_asked("the values have no `cluster`"),
    }
}

pub(super) fn checks(request: &VerifyRequest, answer: &Answer) -> Vec<Check> {
    let name = request.place.cluster.as_deref().unwrap_or("cluster");
    // DescribeClusters lists an unknown cluster under `failures`, which is no error of the call.
    let outcome = match answer {
        Answer::Found(response) => check(name, &response["clusters"][0]),
        Answer::Missing(_) => check(name, &Value::Null),
        Answer::Unknown(unknown) => unknown.into(),
    };
    vec![Check::new(CheckGroup::Cluster, name, outcome)]
}

fn check(name: &str, cluster: &Value) -> CheckOutcome {
    let fix =
        format!("aws ecs create-cluster --cluster-name {name}, or correct `cluster` in the values");
    match text(cluster, "status") {
        "ACTIVE" => CheckOutcome::ok("ACTIVE"),
        "" => CheckOutcome::fail("there is no such cluster", fix),
        status => CheckOutcome::fail(format!("its status is {status}"), fix),
    }
}
