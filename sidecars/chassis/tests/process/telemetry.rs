//! Spans and metrics, and a backend that fails.

use super::*;

/// A telemetry backend that stores the posted bodies by path.
struct Sink {
    server: Server,
    posts: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

async fn sink() -> Sink {
    let posts: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
    let service = {
        let posts = Arc::clone(&posts);
        move |request: Request| {
            let posts = Arc::clone(&posts);
            async move {
                let path = request.uri().path().to_owned();
                let body = read_limited(box_body(request.into_body()), 1 << 20)
                    .await
                    .unwrap();
                posts.lock().unwrap().entry(path).or_default().extend(body);
                answer("")
            }
        }
    };

    Sink {
        server: start_server(service, Limits::default()).await,
        posts,
    }
}

impl Sink {
    fn holds(&self, path: &str, text: &[u8]) -> bool {
        let posts = self.posts.lock().unwrap();
        posts
            .get(path)
            .is_some_and(|bytes| bytes.windows(text.len()).any(|window| window == text))
    }
}

#[tokio::test]
async fn spans_and_metrics_are_flushed_at_shutdown() {
    let sink = sink().await;
    let endpoint = format!("http://{}", sink.server.address);
    let mut running = Running::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "container.name=beside,deployment.environment=test",
        ),
    ])
    .await;

    ask(running.address, "GET / HTTP/1.1").await;
    running.signal(Signal::TERM);
    assert_eq!(running.code().await, Some(0));

    // The bodies are protobuf; names and values appear in them as plain UTF-8.
    for (path, texts) in [
        (
            "/v1/traces",
            [
                "echo",
                "service.name",
                "container.name",
                "beside",
                "url.path",
            ],
        ),
        (
            "/v1/metrics",
            [
                "echo",
                "service.name",
                "container.name",
                "http.server.request.duration",
                "http.route",
            ],
        ),
    ] {
        for text in texts {
            assert!(
                sink.holds(path, text.as_bytes()),
                "{text} is missing in {path}"
            );
        }
    }
}

#[tokio::test]
async fn the_service_name_from_the_environment_wins() {
    let sink = sink().await;
    let endpoint = format!("http://{}", sink.server.address);
    let mut running = Running::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_SERVICE_NAME", "name-from-environment"),
    ])
    .await;

    ask(running.address, "GET / HTTP/1.1").await;
    running.signal(Signal::TERM);
    assert_eq!(running.code().await, Some(0));
    assert!(sink.holds("/v1/traces", b"name-from-environment"));
}

#[tokio::test]
async fn forwards_a_trace_with_a_new_span() {
    let sink = sink().await;
    let endpoint = format!("http://{}", sink.server.address);
    let target = |request: Request| async move {
        let trace = request
            .headers()
            .get("traceparent")
            .map(|value| value.to_str().unwrap());
        answer(trace.unwrap_or("none"))
    };

    let target = start_server(target, Limits::default()).await;
    let upstream = format!("http://{}", target.address);
    let mut running = Running::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("ECHO_UPSTREAM", &upstream),
    ])
    .await;
    let incoming = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let answer = ask(
        running.address,
        &format!("GET / HTTP/1.1\r\ntraceparent: {incoming}"),
    )
    .await;
    let outgoing = answer.rsplit("\r\n").next().unwrap();

    // Version and trace id are the first 36 characters; the span id follows.
    assert_eq!(outgoing[..36], incoming[..36], "another trace");
    assert_ne!(outgoing, incoming, "no new span");
    running.signal(Signal::TERM);
    assert_eq!(running.code().await, Some(0));
    // OTLP carries trace ids as 16 bytes.
    let trace_id = 0x0af7651916cd43dd8448eb211c80319c_u128.to_be_bytes();
    assert!(sink.holds("/v1/traces", &trace_id));
}

#[tokio::test]
async fn nothing_is_exported_when_the_sdk_is_disabled() {
    let sink = sink().await;
    let endpoint = format!("http://{}", sink.server.address);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_SDK_DISABLED", "true"),
    ];
    let mut running = Running::start(&variables).await;

    ask(running.address, "GET / HTTP/1.1").await;
    running.signal(Signal::TERM);
    assert_eq!(running.code().await, Some(0));
    assert!(sink.posts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_backend_that_hangs_delays_only_the_exit() {
    let hanging = start_server(|_: Request| std::future::pending(), Limits::default()).await;
    let endpoint = format!("http://{}", hanging.address);
    let mut running = Running::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]).await;
    assert!(
        ask(running.address, "GET / HTTP/1.1")
            .await
            .starts_with("HTTP/1.1 200")
    );
    running.signal(Signal::TERM);

    running.line("stopped").await;
    let stopped = std::time::Instant::now();
    assert_eq!(running.code().await, Some(0));
    // The flush timeout is two seconds; the rest is for a busy host.
    assert!(stopped.elapsed().as_secs() < 5, "{:?}", stopped.elapsed());
}

#[tokio::test]
async fn logs_and_counts_telemetry_that_cannot_be_sent() {
    let sink = sink().await;
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let mut running = Running::start(&[
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            &format!("http://{closed}/v1/traces"),
        ),
        (
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            &format!("http://{}/v1/metrics", sink.server.address),
        ),
        // Milliseconds; the default of five seconds would delay the test.
        ("OTEL_BSP_SCHEDULE_DELAY", "10"),
    ])
    .await;

    ask(running.address, "GET / HTTP/1.1").await;
    let line = running.line("telemetry export fails").await;
    assert_eq!(
        (&line["level"], &line["signal"]),
        (&"warn".into(), &"traces".into())
    );
    running.signal(Signal::TERM);
    assert_eq!(running.code().await, Some(0));
    assert!(sink.holds("/v1/metrics", b"chassis.telemetry.lost"));
}

#[tokio::test]
async fn the_admin_port_answers_with_metrics_for_prometheus() {
    let mut running = Running::start(&[
        ("OTEL_METRICS_EXPORTER", "prometheus"),
        ("OTEL_SERVICE_NAME", "name-from-environment"),
    ])
    .await;
    ask(running.address, "GET / HTTP/1.1").await;
    ask(running.address, "GET / HTTP/1.1").await;

    let answer = ask(running.admin, "GET /metrics HTTP/1.1").await;
    for line in [
        "content-type: text/plain; version=0.0.4; charset=utf-8\r\n",
        "target_info{",
        "service_name=\"name-from-environment\"",
        "# TYPE http_server_request_duration_seconds histogram\n",
        "le=\"0.005\"} ",
        "le=\"+Inf\"} 2\n",
    ] {
        assert!(answer.contains(line), "{line} is missing in {answer}");
    }
    running.signal(Signal::TERM);
    assert_eq!(running.code().await, Some(0));
}

#[tokio::test]
async fn metrics_are_exported_both_ways_if_both_are_listed() {
    let sink = sink().await;
    let endpoint = format!("http://{}", sink.server.address);
    let mut running = Running::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_METRICS_EXPORTER", "otlp, prometheus"),
    ])
    .await;
    ask(running.address, "GET / HTTP/1.1").await;

    let answer = ask(running.admin, "GET /metrics HTTP/1.1").await;
    assert!(answer.contains("le=\"+Inf\"} 1\n"), "{answer}");
    running.signal(Signal::TERM);
    assert_eq!(running.code().await, Some(0));
    assert!(sink.holds("/v1/metrics", b"http.server.request.duration"));
}

#[tokio::test]
async fn metrics_for_prometheus_are_off_by_default_and_replace_otlp() {
    let running = Running::start(&[]).await;
    let answer = ask(running.admin, "GET /metrics HTTP/1.1").await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(
        answer.contains("OTEL_METRICS_EXPORTER=prometheus"),
        "{answer}"
    );

    let sink = sink().await;
    let endpoint = format!("http://{}", sink.server.address);
    let mut running = Running::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
        ("OTEL_METRICS_EXPORTER", "prometheus"),
    ])
    .await;
    ask(running.address, "GET / HTTP/1.1").await;
    running.signal(Signal::TERM);
    assert_eq!(running.code().await, Some(0));
    let posts = sink.posts.lock().unwrap();
    assert_eq!(posts.keys().collect::<Vec<_>>(), ["/v1/traces"]);
}
