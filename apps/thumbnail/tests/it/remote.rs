//! Tests remote videos: bytes read, redirects, retries, TLS, S3.

use std::path::Path;

use thumbnail::ErrorKind;

use crate::clips::{self, H264, video_from};
use crate::run::{fails, report, run};
use crate::server::{Behavior, Server};

/// Returns a video of a few megabytes, with its index at the end.
fn big() -> Option<Vec<u8>> {
    let picture = "testsrc2=size=1280x720:rate=25:duration=8";
    video_from("big.mp4", picture, &[&H264[..], &["-crf", "18"]].concat())
        .map(|path| std::fs::read(path).unwrap())
}

fn folder() -> tempfile::TempDir {
    clips::scratch()
}

fn number(folder: &Path) -> usize {
    clips::number(&std::fs::read(folder.join("a.png")).unwrap())
}

const MIDDLE: (&str, &str) = ("THUMBNAIL_AT", "4.5");

#[test]
fn reads_a_small_part_of_a_remote_video() {
    let Some(video) = big() else { return };
    let size = video.len() as u64;
    assert!(size > 3_000_000, "{size}");

    let server = Server::start();
    let input = server.serve("/video", Behavior::Video(video));
    let folder = folder();
    let output = run(folder.path(), &[&input, "a.png"], &[MIDDLE]);
    let report = report(&output);

    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(number(folder.path()), 100);
    let (bytes, requests) = (
        report["bytes_fetched"].as_u64().unwrap(),
        report["requests"].as_u64().unwrap(),
    );

    // The index at the end and one keyframe, in a few requests.
    assert!(bytes < size / 4, "{bytes} of {size}");
    assert!(requests <= 6, "{requests}");
    let received = server.requests();
    assert_eq!(received.len() as u64, requests);
    assert!(
        received
            .iter()
            .all(|request| request.headers.contains_key("range"))
    );

    assert!(
        received[1..]
            .iter()
            .all(|request| request.headers["if-match"] == "\"one\"")
    );
}

#[test]
fn reads_the_whole_file_from_a_server_without_ranges() {
    let Some(video) = big() else { return };
    let server = Server::start();
    let input = server.serve("/video", Behavior::Whole(video.clone()));
    let folder = folder();
    let output = run(
        folder.path(),
        &[&input, "a.png"],
        &[MIDDLE, ("THUMBNAIL_MAX_MEMORY_BODY_BYTES", "100000")],
    );

    assert_eq!(report(&output)["bytes_fetched"], video.len());
    assert_eq!(number(folder.path()), 100);
    let output = run(
        folder.path(),
        &[&input, "b.png"],
        &[("THUMBNAIL_MAX_FETCH_BYTES", "1000000")],
    );
    fails(&output, ErrorKind::SourceTooBig);
}

#[test]
fn stops_at_the_fetch_limit() {
    let Some(video) = big() else { return };
    let server = Server::start();
    let input = server.serve("/video", Behavior::Video(video));
    let output = run(
        folder().path(),
        &[&input, "a.png"],
        &[MIDDLE, ("THUMBNAIL_MAX_FETCH_BYTES", "100000")],
    );
    fails(&output, ErrorKind::SourceTooBig);
}

#[test]
fn retries_when_the_server_closes_the_connection() {
    let Some(video) = big() else { return };
    let server = Server::start();
    let input = server.serve("/video", Behavior::Flaky(2, video));
    let folder = folder();
    let output = run(folder.path(), &[&input, "a.png"], &[MIDDLE]);
    assert_eq!(output.status.code(), Some(0), "{}", report(&output));
    assert_eq!(number(folder.path()), 100);
}

#[test]
fn follows_redirects_up_to_a_limit() {
    let Some(video) = big() else { return };
    let server = Server::start();
    server.serve("/video", Behavior::Video(video));

    let input = server.serve(
        "/old",
        Behavior::Status(302, "location", "/video".to_owned()),
    );
    let folder = folder();
    let output = run(folder.path(), &[&input, "a.png"], &[MIDDLE]);
    assert_eq!(output.status.code(), Some(0), "{}", report(&output));

    let circle = server.serve(
        "/circle",
        Behavior::Status(302, "location", "/circle".to_owned()),
    );
    fails(
        &run(folder.path(), &[&circle], &[]),
        ErrorKind::SourceNetwork,
    );
}

#[test]
fn maps_responses_to_error_kinds() {
    let server = Server::start();
    let status = |status: u16| {
        server.serve(
            &format!("/{status}"),
            Behavior::Status(status, "x", String::new()),
        )
    };

    let folder = folder();
    let fails_with = |input: &str, kind| fails(&run(folder.path(), &[input, "a.jpg"], &[]), kind);
    fails_with(
        &format!("http://{}/nothing-here", server.address),
        ErrorKind::SourceNotFound,
    );
    fails_with(&status(403), ErrorKind::SourceDenied);
    server.clear_requests();
    fails_with(&status(503), ErrorKind::SourceNetwork);

    assert_eq!(server.requests().len(), 4, "retried, but not forever");
    fails_with(
        &server.serve("/empty", Behavior::Video(Vec::new())),
        ErrorKind::Empty,
    );
    // Nothing listens on port 1.
    fails_with("http://127.0.0.1:1/video", ErrorKind::SourceNetwork);

    let silent = server.serve("/silent", Behavior::Silent);
    fails(
        &run(folder.path(), &[&silent], &[("THUMBNAIL_TIMEOUT", "300ms")]),
        ErrorKind::Timeout,
    );
}

#[test]
fn accepts_https_only_from_a_trusted_authority() {
    let Some(video) = big() else { return };
    let (server, authority) = Server::start_tls();
    server.serve("/video", Behavior::Video(video));

    let input = format!("https://localhost:{}/video", server.address.port());
    let folder = folder();
    std::fs::write(folder.path().join("ca.pem"), authority).unwrap();

    let output = run(
        folder.path(),
        &[&input, "a.png"],
        &[MIDDLE, ("THUMBNAIL_CA_FILE", "ca.pem")],
    );

    assert_eq!(output.status.code(), Some(0), "{}", report(&output));
    assert_eq!(number(folder.path()), 100);
    fails(
        &run(folder.path(), &[&input, "b.png"], &[MIDDLE]),
        ErrorKind::SourceNetwork,
    );
}

#[test]
fn reads_and_writes_objects_with_the_task_role() {
    let Some(video) = big() else { return };
    let server = Server::start();
    server.serve("/videos/2026/a%20video.mp4", Behavior::Video(video));

    // The format of the ECS credentials endpoint.
    let credentials = r#"{"AccessKeyId":"TASKID","SecretAccessKey":"secret","Token":"session","Expiration":"2099-01-01T00:00:00Z"}"#;
    let credentials = server.serve("/credentials", Behavior::Whole(credentials.into()));
    let endpoint = format!("http://{}", server.address);
    let variables = [
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &credentials),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc"),
        MIDDLE,
    ];

    let output = run(
        folder().path(),
        &["s3://videos/2026/a video.mp4", "s3://pictures/a.png"],
        &variables,
    );
    let report = report(&output);

    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["output"], "s3://pictures/a.png");
    let requests = server.requests();
    assert_eq!(requests[0].path, "/credentials");
    assert_eq!(requests[0].headers["authorization"], "Basic abc");
    assert_eq!(
        requests
            .iter()
            .filter(|request| request.path == "/credentials")
            .count(),
        1
    );

    for request in requests
        .iter()
        .filter(|request| request.path != "/credentials")
    {
        let signature = &request.headers["authorization"];
        assert!(
            signature.starts_with("AWS4-HMAC-SHA256 Credential=TASKID/"),
            "{signature}"
        );
        assert_eq!(request.headers["x-amz-security-token"], "session");
        let hash: String = aws_hash(&request.body);
        assert_eq!(request.headers["x-amz-content-sha256"], hash);
    }

    let stored = requests.last().unwrap();
    assert_eq!(
        (stored.method.as_str(), stored.path.as_str()),
        ("PUT", "/pictures/a.png")
    );
    assert_eq!(stored.headers["content-type"], "image/png");
    assert_eq!(clips::number(&stored.body), 100);
}

#[test]
fn maps_s3_errors_to_error_kinds() {
    let server = Server::start();
    let folder = folder();
    let endpoint = format!("http://{}", server.address);
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];

    fails(
        &run(
            folder.path(),
            &["s3://videos/none.mp4", "a.jpg"],
            &variables,
        ),
        ErrorKind::SourceNotFound,
    );
    fails(
        &run(
            folder.path(),
            &["s3://videos/none.mp4", "a.jpg"],
            &variables[..1],
        ),
        ErrorKind::SourceDenied,
    );

    // What S3 returns for a bucket in another region.
    let elsewhere = Behavior::Status(301, "x-amz-bucket-region", "eu-west-1".to_owned());
    server.serve("/videos/elsewhere.mp4", elsewhere);
    let output = run(
        folder.path(),
        &["s3://videos/elsewhere.mp4", "a.jpg"],
        &variables,
    );

    fails(&output, ErrorKind::SourceNetwork);
    assert!(
        report(&output)["error"]["message"]
            .as_str()
            .unwrap()
            .contains("eu-west-1")
    );

    if let Some(video) = clips::mp4() {
        let video = video.to_str().unwrap();
        server.serve("/denied/a.jpg", Behavior::Status(403, "x", String::new()));
        fails(
            &run(folder.path(), &[video, "s3://denied/a.jpg"], &variables),
            ErrorKind::SinkDenied,
        );
        server.serve("/broken/a.jpg", Behavior::Status(500, "x", String::new()));
        fails(
            &run(folder.path(), &[video, "s3://broken/a.jpg"], &variables),
            ErrorKind::SinkFailed,
        );
    }
}

/// Returns the SHA-256 of a body, in hexadecimal.
fn aws_hash(body: &[u8]) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(body);
    hash.iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(hex)
        .collect()
}

fn hex(digit: u8) -> char {
    char::from_digit(u32::from(digit), 16).unwrap()
}
