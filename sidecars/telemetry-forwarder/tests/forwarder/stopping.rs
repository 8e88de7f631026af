//! The end of the process: nothing that was acknowledged is lost while there is time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::Period;
use telemetry_forwarder::Config;
use tokio::task::JoinSet;

use crate::support::client::{deliver, send_until_closed};
use crate::support::samples::{numbered_names, traces};
use crate::support::sink::{Reply, Sink};
use crate::support::{TestForwarder, config, wait_until};

#[tokio::test]
async fn what_waits_for_company_is_sent_at_the_end() {
    let sink = Sink::start().await;
    let batch_timeout = Period::from_secs(3600);
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
async fn loses_and_doubles_nothing_when_stopped_in_the_middle_of_the_traffic() {
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
    assert_eq!(arrived.len(), before, "some arrived twice");

    // One that arrived without its sender hearing of it is fine; the other way round is not.
    assert!(
        acknowledged
            .iter()
            .all(|name| arrived.binary_search(name).is_ok())
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_backend_that_recovers_during_the_drain_gets_everything() {
    let sink = Sink::start().await;
    // It asks for more patience than a stopping process has.
    sink.respond_with(|_| Reply::status(503).header("retry-after", "60"));

    let forwarder = TestForwarder::start(config(sink.url())).await;
    for name in numbered_names("", 50) {
        deliver(forwarder.http, traces([name])).await;
    }

    wait_until("an attempt", || !sink.requests().is_empty()).await;
    let stopping = tokio::spawn(forwarder.stop());
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
async fn a_backend_that_never_recovers_does_not_hold_up_the_end() {
    let sink = Sink::start().await;
    sink.respond_with(|_| Reply::status(503));
    let limit = Duration::from_millis(1500);
    let forwarder = TestForwarder::start_with(config(sink.url()), None, limit).await;
    deliver(forwarder.http, traces(["a"])).await;
    let took = forwarder.stop().await;
    // It ends before the limit; the second is for a busy machine.
    assert!(took < limit + Duration::from_secs(1), "{took:?}");
    assert!(sink.spans().is_empty());
}
