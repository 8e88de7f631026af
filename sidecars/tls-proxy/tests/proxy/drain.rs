//! The drain and the end of old connections.

use super::*;

/// A next hop that signals when a request has arrived and answers when released.
struct SlowNextHop {
    address: SocketAddr,
    arrived: Arc<Semaphore>,
    release: Arc<Notify>,
}

async fn slow_next_hop() -> SlowNextHop {
    let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let service = {
        let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
        move |_: Request| {
            let (arrived, release) = (Arc::clone(&arrived), Arc::clone(&release));
            async move {
                arrived.add_permits(1);
                release.notified().await;
                answer("finished")
            }
        }
    };

    SlowNextHop {
        address: next_hop(service).await,
        arrived,
        release,
    }
}

#[tokio::test]
async fn the_drain_finishes_a_request_in_flight_on_http1() {
    let slow = slow_next_hop().await;
    let proxy = proxy(slow.address, |_| {}).await;
    let mut client = h1(&proxy).await;
    let answer = tokio::spawn(client.send_request(get("/")));

    within(slow.arrived.acquire()).await.unwrap().forget();
    proxy.trigger.fire();
    slow.release.notify_one();

    // HTTP/1.1 announces the close in the response.
    let response = within(answer).await.unwrap().unwrap();
    assert_eq!(response.headers()["connection"], "close");
    assert_eq!(text(response).await, "finished");
    within(proxy.task).await.unwrap();
}

#[tokio::test]
async fn the_drain_finishes_a_request_in_flight_on_http2_and_accepts_no_other() {
    let slow = slow_next_hop().await;
    let proxy = proxy(slow.address, |_| {}).await;
    let mut client = h2(&proxy).await;
    let request = || {
        ::http::Request::get("https://localhost/")
            .body(empty())
            .unwrap()
    };
    let answer = tokio::spawn(client.send_request(request()));

    within(slow.arrived.acquire()).await.unwrap().forget();
    proxy.trigger.fire();
    slow.release.notify_one();
    assert_eq!(
        text(within(answer).await.unwrap().unwrap()).await,
        "finished"
    );
    within(proxy.task).await.unwrap();
    // After GOAWAY.
    assert!(within(client.send_request(request())).await.is_err());
}

#[tokio::test]
async fn a_connection_closes_after_max_connection_age() {
    let proxy = proxy(mirror().await, |config| {
        config.max_connection_age = HumanDuration::from_millis(200);
    })
    .await;
    let mut client = h1(&proxy).await;
    let first = within(client.send_request(get("/"))).await.unwrap();

    assert!(text(first).await.starts_with("GET /"));
    within(async {
        // The connection is busy, so only its age can end it.
        while client.ready().await.is_ok() {
            let _ = client.send_request(get("/")).await;
        }
    })
    .await;
}
