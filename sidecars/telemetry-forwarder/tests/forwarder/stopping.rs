//! Stopping: nothing that was acknowledged is lost within the drain limit.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::HumanDuration;
use telemetry_forwarder::Config;
use tokio::task::JoinSet;

use crate::support::client::{deliver, send_until_closed};
use crate::support::samples::{numbered_names, traces};
use crate::support::sink::{Reply, Sink};
use crate::support::{TestForwarder, config, wait_until};

#[tokio::test]
async fn sends_incomplete_batches_on_shutdown() {
    let sink = Sink::start().await;
    // Nothing is sent before the shutdown.
    let batch_timeout = HumanDuration::from_secs(3600);
    let forwarder = TestForwarder::start(Config {
        batch_timeout,
        ..config(sink.url())
    })
    .await;

    for name in numbered_names("", 20) {
        deliver(forwarder.http, traces([name])).await;
    }
    assert!(sink.requests().is_empty());
    let took = forwarder.stop().await;

    assert_eq!(sink.spans(), numbered_names("", 20));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_loses_nor_duplicates_spans_when_stopped_under_load() {
    let sink = Sink::start().await;
    let forwarder = TestForwarder::start(config(sink.url())).await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let mut senders = JoinSet::new();

    for prefix in ["a", "b", "c", "d"] {
        let (address, acknowledged) = (forwarder.http, Arc::clone(&acknowledged));
        senders.spawn(async move {
            let keep = |name| acknowledged.lock().unwrap().push(name);
            send_until_closed(address, prefix, keep).await;
        });
    }

    wait_until("some traffic", || acknowledged.lock().unwrap().len() > 500).await;
    let took = forwarder.stop().await;
    senders.join_all().await;

    let mut acknowledged = acknowledged.lock().unwrap().clone();
    acknowledged.sort();
    let mut arrived = sink.spans();
    let before = arrived.len();

    arrived.dedup();
    assert_eq!(arrived.len(), before, "some spans arrived twice");

    // A span may arrive without its sender getting the response; the reverse would be a loss.
    assert!(
        acknowledged
            .iter()
            .all(|name| arrived.binary_search(name).is_ok())
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn delivers_everything_when_the_backend_recovers_during_the_drain() {
    let sink = Sink::start().await;
    // Longer than the drain limit: a stopping process must ignore `Retry-After`.
    sink.respond_with(|_| Reply::status(503).header("retry-after", "60"));

    let forwarder = TestForwarder::start(config(sink.url())).await;
    for name in numbered_names("", 50) {
        deliver(forwarder.http, traces([name])).await;
    }

    wait_until("an attempt", || !sink.requests().is_empty()).await;
    let stopping = tokio::spawn(forwarder.stop());
    // Three more attempts prove that the drain does not wait for the 60 s.
    let before = sink.requests().len();
    wait_until("attempts during the drain", || {
        sink.requests().len() >= before + 3
    })
    .await;
    sink.respond_with(|_| Reply::status(200));
    let took = stopping.await.unwrap();

    assert_eq!(sink.spans(), numbered_names("", 50));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn stops_in_time_when_the_backend_never_recovers() {
    let sink = Sink::start().await;
    sink.respond_with(|_| Reply::status(503));
    let limit = Duration::from_millis(1500);
    let forwarder = TestForwarder::start_with(config(sink.url()), None, limit).await;
    deliver(forwarder.http, traces(["a"])).await;
    let took = forwarder.stop().await;
    // It ends before the limit; the extra second is for a busy host.
    assert!(took < limit + Duration::from_secs(1), "{took:?}");
    assert!(sink.spans().is_empty());
}
