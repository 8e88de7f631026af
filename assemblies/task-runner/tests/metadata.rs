//! The metadata endpoint and its neighbors, over real connections.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic fails the test; skipped tests are printed"
)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use support::{RunningTask, container, plan};
use task_runner::machine::{Health, TaskStatus};
use task_runner::metadata::{
    Credentials, CredentialsSource, Endpoint, Origin, TaskView, apply_event, read_protection,
    serve, variables, write_protection,
};
use task_runner::sandbox::{Boundary, NetworkFaults, Traffic, forward};
use task_runner::{EventKind, RunnerEvent};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A served endpoint and the view of its task.
struct TestEndpoint {
    port: u16,
    view: Arc<Mutex<TaskView>>,
    _folder: TempDir,
}

impl TestEndpoint {
    async fn new(origin: Origin, more: Value) -> Self {
        Self::with(origin, more, None, None).await
    }

    async fn with(
        origin: Origin,
        more: Value,
        faults: Option<Arc<NetworkFaults>>,
        credentials: Option<CredentialsSource>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let check = json!({ "healthCheck": { "command": ["CMD", "/p"] }, "cpu": 128, "memory": 256,
            "portMappings": [{ "containerPort": 8080 }], "dockerLabels": { "team": "a" } });
        let containers = vec![
            container("app", &["serve"], check),
            container("side", &["serve"], json!({})),
        ];
        let mut plan = plan(folder.path(), containers);
        let mut definition = serde_json::to_value(&plan.definition).unwrap();

        definition
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        plan.definition = serde_json::from_value(definition).unwrap();

        let view = TaskView::new(
            &plan,
            ID,
            "eu-central-1",
            SystemTime::UNIX_EPOCH + Duration::from_secs(1),
        );

        let view = Arc::new(Mutex::new(view));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(serve(
            Endpoint::new(Arc::clone(&view), origin, faults, credentials),
            listener,
        ));

        Self {
            port,
            view,
            _folder: folder,
        }
    }

    fn id(&self, index: usize) -> String {
        self.view.lock().unwrap().containers[index].id.clone()
    }

    fn apply(&self, name: Option<&str>, kind: EventKind) {
        let event = RunnerEvent {
            at: Duration::from_millis(1500),
            container: name.map(str::to_owned),
            kind,
        };
        apply_event(&mut self.view.lock().unwrap(), &event);
    }

    async fn request(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 169.254.170.2\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.request("GET", path, "").await
    }
}

const ID: &str = "cd189a933e5849daa93386466019ab50";

fn started(pid: u32) -> EventKind {
    EventKind::Started {
        pid,
        run: 1,
        after: Vec::new(),
    }
}

#[tokio::test]
async fn serves_the_metadata_of_a_container() {
    let endpoint = TestEndpoint::new(Origin::RunTask, json!({})).await;
    let id = endpoint.id(0);
    assert!(id.starts_with(ID) && id.len() == 32 + 1 + 10, "{id}");

    let (status, before) = endpoint.get(&format!("/v4/{id}")).await;
    assert_eq!((status, &before["KnownStatus"]), (200, &json!("PULLED")));
    assert_eq!(before["Health"]["status"], "UNKNOWN");
    endpoint.apply(Some("app"), started(std::process::id()));

    let (health, output) = (Health::Healthy, "well".to_owned());
    endpoint.apply(
        Some("app"),
        EventKind::Health {
            health,
            streak: 0,
            code: 0,
            output,
        },
    );

    let (_, body) = endpoint.get(&format!("/v4/{id}")).await;
    for (pointer, wanted) in [
        ("/DockerId", json!(id)),
        ("/Name", json!("app")),
        ("/DockerName", json!("app")),
        ("/Type", json!("NORMAL")),
        ("/DesiredStatus", json!("RUNNING")),
        ("/KnownStatus", json!("RUNNING")),
        // The view begins at 1 s, the event is 1.5 s later.
        ("/StartedAt", json!("1970-01-01T00:00:02.500Z")),
        ("/Limits", json!({ "CPU": 128, "Memory": 256 })),
        ("/Health/status", json!("HEALTHY")),
        ("/Health/output", json!("well")),
        (
            "/Ports",
            json!([{ "ContainerPort": 8080, "Protocol": "tcp", "HostPort": 8080 }]),
        ),
        ("/Labels/com.amazonaws.ecs.container-name", json!("app")),
        ("/Labels/team", json!("a")),
        ("/Networks/0/NetworkMode", json!("awsvpc")),
        (
            "/ContainerARN",
            json!(format!(
                "arn:aws:ecs:eu-central-1:000000000000:container/local/{ID}/{id}"
            )),
        ),
    ] {
        assert_eq!(body.pointer(pointer), Some(&wanted), "{pointer}\n{body:#}");
    }

    // The agent reports the exit code of a probe only while UNHEALTHY.
    assert!(body.pointer("/Health/exitCode").is_none(), "{body:#}");
    let (_, v3) = endpoint.get(&format!("/v3/{id}")).await;
    assert_eq!(v3["Name"], "app");
    assert!(v3.get("ContainerARN").is_none() && v3.get("Snapshotter").is_none());
}

#[tokio::test]
async fn an_unhealthy_container_reports_the_exit_code_and_the_truncated_output_of_its_probe() {
    let endpoint = TestEndpoint::new(Origin::RunTask, json!({})).await;
    let kind = EventKind::Health {
        health: Health::Unhealthy,
        streak: 3,
        code: 7,
        // Two bytes per character, so that the limit of 1,024 bytes falls into one.
        output: format!("a{}", "ä".repeat(3000)),
    };

    endpoint.apply(Some("app"), kind);
    let (_, body) = endpoint.get(&format!("/v4/{}", endpoint.id(0))).await;
    assert_eq!(body["Health"]["exitCode"], 7);

    let output = body["Health"]["output"].as_str().unwrap();
    assert_eq!(
        output,
        format!("a{}", "ä".repeat(511)),
        "1024 bytes at most"
    );
}

#[tokio::test]
async fn requests_without_an_answer_get_the_errors_of_the_agent() {
    let endpoint = TestEndpoint::new(Origin::RunTask, json!({})).await;
    for path in [
        "/v1/credentials",
        "/v1/credentials?id=",
        "/v2/credentials",
        "/v2/credentials/",
    ] {
        let (status, body) = endpoint.get(path).await;
        assert_eq!(
            (status, &body["code"], &body["HTTPErrorCode"]),
            (400, &json!("NoIdInRequest"), &json!(400)),
            "{path}"
        );
        assert!(body["message"].is_string());
    }

    let (status, body) = endpoint.get("/v1/credentials?id=x").await;
    assert_eq!((status, &body["code"]), (400, &json!("InvalidIdInRequest")));
    let path = format!("/v4/{}/associations/elastic-inference", endpoint.id(0));
    let (status, body) = endpoint.get(&path).await;

    assert_eq!((status, body), (200, json!({ "Associations": [] })));
    let (status, body) = endpoint.get(&format!("{path}/one")).await;
    assert!(status == 400 && body.is_string(), "{body}");
}

#[tokio::test]
async fn serves_the_metadata_of_a_task() {
    let sizes = json!({ "cpu": "256", "memory": "512", "tags": [{ "key": "team", "value": "a" }] });
    let endpoint = TestEndpoint::new(Origin::RunTask, sizes).await;
    let id = endpoint.id(1);
    let status = TaskStatus::Running;

    endpoint.apply(
        None,
        EventKind::Task {
            status,
            health: Health::Unknown,
        },
    );

    let (code, task) = endpoint.get(&format!("/v4/{id}/task")).await;
    assert_eq!(code, 200);
    assert_eq!(
        task["TaskARN"],
        format!("arn:aws:ecs:eu-central-1:000000000000:task/local/{ID}")
    );
    assert_eq!(
        (&task["Family"], &task["Revision"]),
        (&json!("test"), &json!("0"))
    );

    assert_eq!(task["Limits"], json!({ "CPU": 0.25, "Memory": 512 }));
    assert_eq!(
        (&task["KnownStatus"], &task["LaunchType"]),
        (&json!("RUNNING"), &json!("FARGATE"))
    );
    assert_eq!(task["Containers"].as_array().unwrap().len(), 2);
    assert_eq!(task["FaultInjectionEnabled"], false);
    assert!(task.get("TaskTags").is_none());

    let (_, tagged) = endpoint.get(&format!("/v4/{id}/taskWithTags")).await;
    assert_eq!(tagged["TaskTags"], json!({ "team": "a" }));
    assert_eq!(
        endpoint.get("/v2/metadata").await.1["TaskARN"],
        task["TaskARN"]
    );
}

#[tokio::test]
async fn stats_contain_two_samples_of_running_containers() {
    let endpoint = TestEndpoint::new(Origin::RunTask, json!({})).await;
    let (running, waiting) = (endpoint.id(0), endpoint.id(1));
    endpoint.apply(Some("app"), started(std::process::id()));

    let (_, first) = endpoint.get(&format!("/v4/{running}/stats")).await;
    assert!(
        first["memory_stats"]["usage"].as_u64().unwrap() > 0,
        "{first:#}"
    );
    assert_eq!(first["memory_stats"]["limit"], 256 * 1024 * 1024);

    let (_, second) = endpoint.get(&format!("/v4/{waiting}/task/stats")).await;
    // A container that does not run has no stats.
    assert_eq!(second[&waiting], Value::Null);
    assert_eq!(
        second[&running]["precpu_stats"], first["cpu_stats"],
        "the previous sample"
    );
    assert_eq!(second[&running]["preread"], first["read"]);
}

#[tokio::test]
async fn stats_count_the_traffic_of_the_tasks_own_network() {
    // START orders the events: the pid of `app` is known before `proxy` prints.
    let after = json!({ "dependsOn": [{ "containerName": "app", "condition": "START" }] });
    let mut task = RunningTask::new(vec![
        container("app", &["echo", "127.0.0.1:7"], json!({})),
        container("proxy", &["call", "127.0.0.1:7"], after),
    ]);

    if task.sandbox.is_none() {
        return;
    }
    task.wait_for_line("proxy", "answered").await;

    let endpoint = TestEndpoint::new(Origin::RunTask, json!({})).await;
    endpoint.apply(Some("app"), started(task.pid("app")));
    endpoint.apply(Some("side"), started(std::process::id()));

    let path = format!("/v4/{}/task/stats", endpoint.id(0));
    let (_, body) = endpoint.get(&path).await;
    let networks = &body[endpoint.id(0)]["networks"];
    let counts = networks["lo"].as_object().unwrap();

    assert_eq!(counts.len(), 8, "{networks}");
    assert!(counts["rx_bytes"].as_u64() > Some(0), "{networks}");
    assert_eq!(
        counts["rx_bytes"], counts["tx_bytes"],
        "`lo` receives everything it sends"
    );
    // This process lives in the host's network; its traffic is not the task's.
    assert_eq!(
        body[endpoint.id(1)]["networks"],
        json!({}),
        "the host's network"
    );
    task.stop().await;
    task.end().await;
}

#[tokio::test]
async fn unknown_ids_are_not_found_and_the_rate_is_limited() {
    let endpoint = TestEndpoint::new(Origin::RunTask, json!({})).await;
    let (status, error) = endpoint.get("/v4/unknown/task").await;
    assert_eq!(status, 404);
    assert!(
        error
            .as_str()
            .unwrap()
            .starts_with("V4 container metadata handler: unable to"),
        "{error}"
    );

    assert_eq!(endpoint.get("/else").await.0, 404);
    let (status, error) = endpoint.get("/v2/credentials/x").await;
    assert_eq!((status, &error["HTTPErrorCode"]), (400, &json!(400)));

    let path = format!("/v4/{}", endpoint.id(0));
    // More than the burst of 60 and the rate of 40 per second allow, even on a slow host.
    let mut statuses = Vec::new();
    for _ in 0..400 {
        statuses.push(endpoint.get(&path).await.0);
    }

    assert!(statuses.contains(&200) && statuses.contains(&429));
}

#[test]
fn a_file_of_protection_has_seconds_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("protection");
    assert_eq!(read_protection(&file), None);
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_001);
    write_protection(&file, Some(until)).unwrap();
    assert_eq!(read_protection(&file), Some(until));
    for text in [
        "",
        "soon",
        "-1",
        "1800000000 1800000000 1800000000 1800000000",
    ] {
        fs::write(&file, text).unwrap();
        assert_eq!(read_protection(&file), None, "{text}");
    }
    // Only the file itself is left.
    write_protection(&file, None).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_task_of_a_service_can_protect_itself() {
    let role = json!({ "taskRoleArn": "arn:aws:iam::111122223333:role/app" });
    let endpoint = TestEndpoint::new(Origin::Service, role.clone()).await;
    let path = format!("/api/{}/task-protection/v1/state", endpoint.id(0));
    let (status, body) = endpoint.get(&path).await;

    assert_eq!(
        (status, &body["protection"]["ProtectionEnabled"]),
        (200, &json!(false))
    );

    let on = r#"{"ProtectionEnabled": true, "ExpiresInMinutes": 5}"#;
    let (status, body) = endpoint.request("PUT", &path, on).await;
    assert_eq!(
        (status, &body["protection"]["ProtectionEnabled"]),
        (200, &json!(true))
    );
    assert!(body["protection"]["ExpirationDate"].is_string());
    assert_eq!(endpoint.get(&path).await.1, body);

    let (_, body) = endpoint
        .request("PUT", &path, r#"{"ProtectionEnabled": false}"#)
        .await;
    assert_eq!(body["protection"]["ProtectionEnabled"], false);

    for request in [
        "{",
        "{}",
        r#"{"ProtectionEnabled": 1}"#,
        r#"{"ProtectionEnabled": true, "ExpiresInMinutes": 2881}"#,
        r#"{"ProtectionEnabled": true, "Else": 1}"#,
    ] {
        let (status, body) = endpoint.request("PUT", &path, request).await;
        assert_eq!(
            (status, &body["error"]["Code"]),
            (400, &json!("InvalidParameterException")),
            "{request}: {body}"
        );
    }

    // ECS refuses protection for a task that no service runs.
    let standalone = TestEndpoint::new(Origin::RunTask, role).await;
    let path = format!("/api/{}/task-protection/v1/state", standalone.id(0));
    assert_eq!(
        standalone.request("PUT", &path, on).await.1["failure"]["Reason"],
        "TASK_NOT_VALID"
    );

    let without_role = TestEndpoint::new(Origin::Service, json!({})).await;
    let path = format!("/api/{}/task-protection/v1/state", without_role.id(0));
    let (status, body) = without_role.get(&path).await;
    assert_eq!(
        (status, &body["error"]["Code"]),
        (403, &json!("AccessDeniedException"))
    );
}

#[tokio::test]
async fn the_metadata_variable_names_a_path_of_the_endpoint() {
    let endpoint = TestEndpoint::new(Origin::RunTask, json!({})).await;
    let all = variables(
        (std::net::Ipv4Addr::LOCALHOST, endpoint.port).into(),
        &endpoint.id(0),
    );
    let url = &all
        .iter()
        .find(|(name, _)| *name == "ECS_CONTAINER_METADATA_URI_V4")
        .unwrap()
        .1;
    let path = url
        .strip_prefix(&format!("http://127.0.0.1:{}", endpoint.port))
        .unwrap();
    assert_eq!(endpoint.get(path).await.1["Name"], "app");
}

const BLACKHOLE: &str = "fault/v1/network-blackhole-port";

/// Returns an endpoint with the faults of a network.
async fn with_faults(more: Value) -> (TestEndpoint, Arc<NetworkFaults>) {
    let faults = Arc::new(NetworkFaults::default());
    let endpoint = TestEndpoint::with(Origin::RunTask, more, Some(Arc::clone(&faults)), None).await;
    (endpoint, faults)
}

#[tokio::test]
async fn faults_start_report_their_status_and_stop() {
    let (endpoint, _) = with_faults(json!({ "enableFaultInjection": true })).await;
    let path = format!("/api/{}/{BLACKHOLE}", endpoint.id(0));
    let rule = r#"{"Port":5432,"Protocol":"tcp","TrafficType":"egress"}"#;
    let post = async |verb: &str, body: &str| {
        endpoint
            .request("POST", &format!("{path}/{verb}"), body)
            .await
    };

    assert_eq!(
        post("status", rule).await,
        (200, json!({ "Status": "not-running" }))
    );
    assert_eq!(
        post("start", rule).await,
        (200, json!({ "Status": "running" }))
    );

    let (status, error) = post("start", rule).await;
    assert_eq!(status, 429, "one request per 5 s: {error}");
    assert_eq!(
        post("stop", rule).await,
        (200, json!({ "Status": "stopped" }))
    );
    let (status, _) = endpoint.get(&format!("{path}/status")).await;
    assert_eq!(status, 404, "the path accepts POST only");
}

#[tokio::test]
async fn rejects_invalid_fault_requests_with_the_reason() {
    for (fault, body, why) in [
        (
            "network-blackhole-port",
            r#"{"Port":0,"Protocol":"tcp","TrafficType":"egress"}"#,
            "Port must be",
        ),
        (
            "network-blackhole-port",
            r#"{"Port":1,"Protocol":"udp","TrafficType":"egress"}"#,
            "only tcp",
        ),
        (
            "network-blackhole-port",
            r#"{"Port":1,"Protocol":"tcp","TrafficType":"up"}"#,
            "unknown variant",
        ),
        (
            "network-blackhole-port",
            r#"{"Port":1,"Protocol":"tcp","TrafficType":"egress","X":1}"#,
            "unknown field",
        ),
        ("network-blackhole-port", "", "invalid body"),
        (
            "network-latency",
            r#"{"DelayMilliseconds":0,"JitterMilliseconds":0,"Sources":["10.0.0.1"]}"#,
            "both 0",
        ),
        (
            "network-latency",
            r#"{"DelayMilliseconds":1,"Sources":["10.0.0.1"]}"#,
            "missing field",
        ),
        (
            "network-latency",
            r#"{"DelayMilliseconds":1,"JitterMilliseconds":0,"Sources":[]}"#,
            "Sources",
        ),
        (
            "network-latency",
            r#"{"DelayMilliseconds":1,"JitterMilliseconds":0,"Sources":["x"]}"#,
            "`x` is not an IP address",
        ),
        (
            "network-packet-loss",
            r#"{"LossPercent":101,"Sources":["0.0.0.0/0"]}"#,
            "LossPercent",
        ),
        (
            "network-packet-loss",
            r#"{"LossPercent":1,"Sources":["0.0.0.0/0"],"FlowsPercent":0}"#,
            "FlowsPercent",
        ),
    ] {
        let (endpoint, _) = with_faults(json!({ "enableFaultInjection": true })).await;
        let path = format!("/api/{}/fault/v1/{fault}/start", endpoint.id(0));
        let (status, body) = endpoint.request("POST", &path, body).await;
        let error = body["Error"].as_str().unwrap();

        assert!(
            status == 400 && error.contains(why),
            "{body}: {status} {error}"
        );
    }

    let (endpoint, _) = with_faults(json!({})).await;
    let path = format!("/api/{}/{BLACKHOLE}/start", endpoint.id(0));
    let (status, body) = endpoint.request("POST", &path, "{}").await;
    assert_eq!(status, 400);

    assert!(
        body["Error"]
            .as_str()
            .unwrap()
            .starts_with("enableFaultInjection is not enabled for task: arn:"),
        "{body}"
    );
}

#[tokio::test]
async fn latency_and_packet_loss_exclude_each_other() {
    let (endpoint, _) = with_faults(json!({ "enableFaultInjection": true })).await;
    let path = |fault: &str, verb: &str| format!("/api/{}/fault/v1/{fault}/{verb}", endpoint.id(0));
    let latency = r#"{"DelayMilliseconds":100,"JitterMilliseconds":10,"Sources":["0.0.0.0/0"]}"#;
    let loss = r#"{"LossPercent":10,"Sources":["0.0.0.0/0"]}"#;
    let (status, _) = endpoint
        .request("POST", &path("network-latency", "start"), latency)
        .await;

    assert_eq!(status, 200);
    let (status, body) = endpoint
        .request("POST", &path("network-packet-loss", "start"), loss)
        .await;

    assert!(
        status == 409 && body["Error"].is_string(),
        "{status} {body}"
    );

    // The status is per fault, though they share a slot.
    let (_, body) = endpoint
        .request("POST", &path("network-packet-loss", "status"), loss)
        .await;
    assert_eq!(body["Status"], "not-running");
}

#[tokio::test]
async fn a_blackholed_port_is_silent_until_the_blackhole_stops() {
    let (endpoint, faults) = with_faults(json!({ "enableFaultInjection": true })).await;
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server_address = server.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = server.accept().await.unwrap();
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await
    });

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let boundary = Boundary {
        traffic: Traffic::Egress,
        port: 5432,
        faults,
    };
    let _forward = forward(listener, boundary, move || {
        TcpStream::connect(server_address)
    });
    let mut client = TcpStream::connect(address).await.unwrap();
    let mut echo = async |word: &[u8; 4], limit| {
        client.write_all(word).await.unwrap();
        let mut received = [0; 4];
        tokio::time::timeout(limit, client.read_exact(&mut received))
            .await
            .ok()
            .map(|_| received)
    };

    assert_eq!(echo(b"open", support::LIMIT).await, Some(*b"open"));
    let rule = r#"{"Port":5432,"Protocol":"tcp","TrafficType":"egress"}"#;
    let path = format!("/api/{}/{BLACKHOLE}", endpoint.id(0));
    endpoint
        .request("POST", &format!("{path}/start"), rule)
        .await;
    assert_eq!(echo(b"held", Duration::from_millis(300)).await, None);
    endpoint
        .request("POST", &format!("{path}/stop"), rule)
        .await;

    // The held-back bytes arrive first, as with TCP retransmissions.
    assert_eq!(echo(b"more", support::LIMIT).await, Some(*b"held"));
}

#[tokio::test]
async fn a_blackhole_applies_between_containers_too() {
    let mut task = RunningTask::new(vec![
        container("app", &["echo", "127.0.0.1:7"], json!({})),
        container("proxy", &["call", "127.0.0.1:7"], json!({})),
    ]);
    let Some(sandbox) = task.sandbox.clone() else {
        return;
    };
    let exists = |program: &&str| {
        ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .map(|folder| Path::new(folder).join(program).exists())
    };

    if !["nft", "iptables-restore"]
        .iter()
        .flat_map(exists)
        .any(|exists| exists)
    {
        eprintln!("skipped: neither nft nor iptables exists on this host");
        return;
    }

    task.wait_for_line("proxy", "answered").await;
    let faults = Arc::clone(sandbox.faults());
    let more = json!({ "enableFaultInjection": true });
    let endpoint = TestEndpoint::with(Origin::RunTask, more, Some(faults), None).await;
    let path = format!("/api/{}/{BLACKHOLE}", endpoint.id(0));
    let rule = r#"{"Port":7,"Protocol":"tcp","TrafficType":"ingress"}"#;

    endpoint
        .request("POST", &format!("{path}/start"), rule)
        .await;
    task.wait_for_line("proxy", "silent").await;

    // The runner's connections pass the filter by their mark: blackholes at the boundary are its own matter.
    let connected = tokio::time::timeout(
        support::LIMIT,
        sandbox.connect("127.0.0.1:7".parse().unwrap()),
    );

    assert!(connected.await.unwrap().is_ok());
    endpoint
        .request("POST", &format!("{path}/stop"), rule)
        .await;
    task.wait_for_line("proxy", "answered").await;
    task.stop().await;
    task.end().await;
}

#[tokio::test]
async fn credentials_are_served_under_the_id_of_the_task_only() {
    let source = CredentialsSource::new(|| {
        Box::pin(async {
            Ok(Credentials {
                role_arn: "arn:aws:iam::111122223333:role/app".into(),
                access_key_id: "AKID".into(),
                secret_access_key: "hush".into(),
                token: "t".into(),
                expiration: SystemTime::UNIX_EPOCH + Duration::from_hours(1),
            })
        })
    });

    let endpoint = TestEndpoint::with(Origin::RunTask, json!({}), None, Some(source)).await;
    let (status, body) = endpoint.get(&format!("/v2/credentials/{ID}")).await;
    let wanted = json!({
        "RoleArn": "arn:aws:iam::111122223333:role/app", "AccessKeyId": "AKID", "SecretAccessKey": "hush",
        "Token": "t", "Expiration": "1970-01-01T01:00:00.000Z",
    });

    assert_eq!((status, body), (200, wanted));
    let (status, body) = endpoint.get("/v2/credentials/other").await;
    assert_eq!((status, &body["code"]), (400, &json!("InvalidIdInRequest")));
    assert_eq!(body["HTTPErrorCode"], 400);

    let failing = CredentialsSource::new(|| {
        Box::pin(async { Err("the role may not be assumed".to_owned()) })
    });
    let endpoint = TestEndpoint::with(Origin::RunTask, json!({}), None, Some(failing)).await;
    let (status, body) = endpoint.get(&format!("/v2/credentials/{ID}")).await;
    assert_eq!(
        (status, &body["code"]),
        (503, &json!("CredentialsUninitialized"))
    );
}

#[tokio::test]
async fn a_task_of_a_service_reports_the_name_of_the_service() {
    let endpoint = TestEndpoint::new(Origin::Service, json!({})).await;
    let path = format!("/v4/{}/task", endpoint.id(0));
    assert!(endpoint.get(&path).await.1.get("ServiceName").is_none());
    endpoint.view.lock().unwrap().service = Some("shop".to_owned());
    assert_eq!(endpoint.get(&path).await.1["ServiceName"], "shop");
    // Version 4 added the field.
    let v3 = format!("/v3/{}/task", endpoint.id(0));
    assert!(endpoint.get(&v3).await.1.get("ServiceName").is_none());
}
