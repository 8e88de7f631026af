//! Resource attributes from settings and from ECS.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use telemetry_forwarder::Config;

use crate::support::client::deliver;
use crate::support::samples::traces;
use crate::support::sink::{Reply, Sink};
use crate::support::{TestForwarder, config, wait_until};

fn attributes(sink: &Sink) -> BTreeMap<String, String> {
    let resource = sink.traces()[0].resource_spans[0].resource.clone().unwrap();
    let pairs = resource.attributes.into_iter().map(|pair| {
        let Some(Value::StringValue(text)) = pair.value.unwrap().value else {
            panic!("no text")
        };
        (pair.key, text)
    });
    pairs.collect()
}

async fn metadata() -> Sink {
    let endpoint = Sink::start().await;
    endpoint.respond_with(|_| Reply {
        body: br#"{"Cluster":"local","TaskARN":"arn:aws:ecs:us-east-1:000000000000:task/local/0a1b","Family":"coins","Revision":"3","LaunchType":"FARGATE","KnownStatus":"RUNNING"}"#.to_vec(),
        ..Reply::status(200)
    });
    endpoint
}

#[tokio::test]
async fn adds_attributes_of_ecs_and_settings_and_overrides_nothing() {
    let (sink, endpoint) = (Sink::start().await, metadata().await);
    let resource = [
        ("service.name", "other"),
        ("deployment.environment.name", "test"),
    ];
    let resource = resource
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let settings = Config {
        resource,
        ..config(sink.url())
    };

    let base = format!("{}/v4/id", endpoint.url());
    let limit = std::time::Duration::from_secs(20);
    let forwarder = TestForwarder::start_with(settings, Some(base), limit).await;
    deliver(forwarder.http, traces(["a"])).await;
    wait_until("the span", || sink.spans() == ["a"]).await;
    assert_eq!(endpoint.requests()[0].path, "/v4/id/task");

    let found = attributes(&sink);
    // `sample` is what the sender set; `other` of the settings must not replace it.
    assert_eq!(found["service.name"], "sample");
    assert_eq!(found["deployment.environment.name"], "test");
    assert_eq!(found["aws.ecs.task.family"], "coins");
    assert_eq!(found["aws.ecs.task.id"], "0a1b");
    assert_eq!(
        found["aws.ecs.cluster.arn"],
        "arn:aws:ecs:us-east-1:000000000000:cluster/local"
    );
    assert_eq!(found["cloud.region"], "us-east-1");
}

#[tokio::test]
async fn continues_without_ecs_metadata_when_the_endpoint_fails() {
    let (sink, endpoint) = (Sink::start().await, Sink::start().await);
    endpoint.respond_with(|_| Reply::status(500));
    let limit = std::time::Duration::from_secs(20);
    let forwarder =
        TestForwarder::start_with(config(sink.url()), Some(endpoint.url()), limit).await;
    // Not ready while the metadata endpoint is retried; requests already wait.
    assert!(!forwarder.readiness.is_ready());
    deliver(forwarder.http, traces(["a"])).await;
    wait_until("the span", || sink.spans() == ["a"]).await;
    assert!(forwarder.readiness.is_ready());
    // Only the `service.name` of the sender.
    assert_eq!(attributes(&sink).len(), 1);
    assert!(endpoint.requests().len() > 1);
}
