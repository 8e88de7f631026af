//! Films that are far away: how few bytes are read, and what happens when that goes wrong.

use std::path::Path;

use thumbnail::Kind;

use crate::clips::{self, H264, film_of};
use crate::run::{fails, report, run};
use crate::server::{Conduct, Server};

/// A film of some megabytes, with its index at the end.
fn big() -> Option<Vec<u8>> {
    let picture = "testsrc2=size=1280x720:rate=25:duration=8";
    film_of("big.mp4", picture, &[&H264[..], &["-crf", "18"]].concat())
        .map(|it| std::fs::read(it).unwrap())
}

fn folder() -> tempfile::TempDir {
    clips::scratch()
}

fn number(folder: &Path) -> usize {
    clips::number(&std::fs::read(folder.join("a.png")).unwrap())
}

const MIDDLE: (&str, &str) = ("THUMBNAIL_AT", "4.5");

#[test]
fn of_a_film_on_a_server_little_is_read() {
    let Some(film) = big() else { return };
    let size = film.len() as u64;
    assert!(size > 3_000_000, "{size}");

    let server = Server::start();
    let input = server.serve("/film", Conduct::Film(film));
    let folder = folder();
    let output = run(folder.path(), &[&input, "a.png"], &[MIDDLE]);
    let report = report(&output);

    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(number(folder.path()), 100);
    let (bytes, requests) = (
        report["bytes_fetched"].as_u64().unwrap(),
        report["requests"].as_u64().unwrap(),
    );

    assert!(bytes < size / 4, "{bytes} of {size}");
    assert!(requests <= 6, "{requests}");
    let asked = server.asked();
    assert_eq!(asked.len() as u64, requests);
    assert!(
        asked
            .iter()
            .all(|asked| asked.headers.contains_key("range"))
    );

    assert!(
        asked[1..]
            .iter()
            .all(|asked| asked.headers["if-match"] == "\"one\"")
    );
}

#[test]
fn a_server_without_ranges_is_read_as_a_whole() {
    let Some(film) = big() else { return };
    let server = Server::start();
    let input = server.serve("/film", Conduct::Whole(film.clone()));
    let folder = folder();
    let output = run(
        folder.path(),
        &[&input, "a.png"],
        &[MIDDLE, ("THUMBNAIL_MEMORY_BODY", "100000")],
    );

    assert_eq!(report(&output)["bytes_fetched"], film.len());
    assert_eq!(number(folder.path()), 100);
    let output = run(
        folder.path(),
        &[&input, "b.png"],
        &[("THUMBNAIL_MAX_FETCH", "1000000")],
    );
    fails(&output, Kind::SourceTooBig);
}

#[test]
fn more_than_the_limit_is_not_read() {
    let Some(film) = big() else { return };
    let server = Server::start();
    let input = server.serve("/film", Conduct::Film(film));
    let output = run(
        folder().path(),
        &[&input, "a.png"],
        &[MIDDLE, ("THUMBNAIL_MAX_FETCH", "100000")],
    );
    fails(&output, Kind::SourceTooBig);
}

#[test]
fn a_server_that_hangs_up_is_asked_again() {
    let Some(film) = big() else { return };
    let server = Server::start();
    let input = server.serve("/film", Conduct::Flaky(2, film));
    let folder = folder();
    let output = run(folder.path(), &[&input, "a.png"], &[MIDDLE]);
    assert_eq!(output.status.code(), Some(0), "{}", report(&output));
    assert_eq!(number(folder.path()), 100);
}

#[test]
fn redirects_are_followed_and_end() {
    let Some(film) = big() else { return };
    let server = Server::start();
    server.serve("/film", Conduct::Film(film));

    let input = server.serve("/old", Conduct::Status(302, "location", "/film".to_owned()));
    let folder = folder();
    let output = run(folder.path(), &[&input, "a.png"], &[MIDDLE]);
    assert_eq!(output.status.code(), Some(0), "{}", report(&output));

    let circle = server.serve(
        "/circle",
        Conduct::Status(302, "location", "/circle".to_owned()),
    );
    fails(&run(folder.path(), &[&circle], &[]), Kind::SourceNetwork);
}

#[test]
fn what_a_server_answers_is_told_apart() {
    let server = Server::start();
    let status = |status: u16| {
        server.serve(
            &format!("/{status}"),
            Conduct::Status(status, "x", String::new()),
        )
    };

    let folder = folder();
    let fails_with = |input: &str, kind| fails(&run(folder.path(), &[input, "a.jpg"], &[]), kind);
    fails_with(
        &format!("http://{}/nothing-here", server.address),
        Kind::SourceNotFound,
    );
    fails_with(&status(403), Kind::SourceDenied);
    server.forget();
    fails_with(&status(503), Kind::SourceNetwork);

    assert_eq!(server.asked().len(), 4, "asked again, and not for ever");
    fails_with(
        &server.serve("/empty", Conduct::Film(Vec::new())),
        Kind::Empty,
    );
    fails_with("http://127.0.0.1:1/film", Kind::SourceNetwork);

    let silent = server.serve("/silent", Conduct::Silent);
    fails(
        &run(folder.path(), &[&silent], &[("THUMBNAIL_TIMEOUT", "300ms")]),
        Kind::Timeout,
    );
}

#[test]
fn https_is_read_with_an_authority_that_is_trusted_and_else_not() {
    let Some(film) = big() else { return };
    let (server, authority) = Server::start_tls();
    server.serve("/film", Conduct::Film(film));

    let input = format!("https://localhost:{}/film", server.address.port());
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
        Kind::SourceNetwork,
    );
}

#[test]
fn an_object_of_a_bucket_is_read_and_written_with_the_tasks_role() {
    let Some(film) = big() else { return };
    let server = Server::start();
    server.serve("/films/2026/a%20film.mp4", Conduct::Film(film));

    // ECS's own credentials endpoint has this form.
    let credentials = r#"{"AccessKeyId":"TASKID","SecretAccessKey":"secret","Token":"session","Expiration":"2099-01-01T00:00:00Z"}"#;
    let credentials = server.serve("/credentials", Conduct::Whole(credentials.into()));
    let endpoint = format!("http://{}", server.address);
    let variables = [
        ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &credentials),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc"),
        MIDDLE,
    ];

    let output = run(
        folder().path(),
        &["s3://films/2026/a film.mp4", "s3://pictures/a.png"],
        &variables,
    );
    let report = report(&output);

    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["output"], "s3://pictures/a.png");
    let asked = server.asked();
    assert_eq!(asked[0].path, "/credentials");
    assert_eq!(asked[0].headers["authorization"], "Basic abc");
    assert_eq!(
        asked
            .iter()
            .filter(|asked| asked.path == "/credentials")
            .count(),
        1
    );

    for request in asked.iter().filter(|asked| asked.path != "/credentials") {
        let signature = &request.headers["authorization"];
        assert!(
            signature.starts_with("AWS4-HMAC-SHA256 Credential=TASKID/"),
            "{signature}"
        );
        assert_eq!(request.headers["x-amz-security-token"], "session");
        let hash: String = aws_hash(&request.body);
        assert_eq!(request.headers["x-amz-content-sha256"], hash);
    }

    let stored = asked.last().unwrap();
    assert_eq!(
        (stored.method.as_str(), stored.path.as_str()),
        ("PUT", "/pictures/a.png")
    );
    assert_eq!(stored.headers["content-type"], "image/png");
    assert_eq!(clips::number(&stored.body), 100);
}

#[test]
fn what_s3_refuses_is_told_apart() {
    let server = Server::start();
    let folder = folder();
    let endpoint = format!("http://{}", server.address);
    let variables = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];

    fails(
        &run(folder.path(), &["s3://films/none.mp4", "a.jpg"], &variables),
        Kind::SourceNotFound,
    );
    fails(
        &run(
            folder.path(),
            &["s3://films/none.mp4", "a.jpg"],
            &variables[..1],
        ),
        Kind::SourceDenied,
    );

    let elsewhere = Conduct::Status(301, "x-amz-bucket-region", "eu-west-1".to_owned());
    server.serve("/films/elsewhere.mp4", elsewhere);
    let output = run(
        folder.path(),
        &["s3://films/elsewhere.mp4", "a.jpg"],
        &variables,
    );

    fails(&output, Kind::SourceNetwork);
    assert!(
        report(&output)["error"]["message"]
            .as_str()
            .unwrap()
            .contains("eu-west-1")
    );

    if let Some(film) = clips::mp4() {
        let film = film.to_str().unwrap();
        server.serve("/denied/a.jpg", Conduct::Status(403, "x", String::new()));
        fails(
            &run(folder.path(), &[film, "s3://denied/a.jpg"], &variables),
            Kind::SinkDenied,
        );
        server.serve("/broken/a.jpg", Conduct::Status(500, "x", String::new()));
        fails(
            &run(folder.path(), &[film, "s3://broken/a.jpg"], &variables),
            Kind::SinkFailed,
        );
    }
}

/// The SHA-256 of a body, in hexadecimal.
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
