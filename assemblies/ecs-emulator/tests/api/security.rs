//! Callers that the API refuses.

use aws_sdk_ecs::error::ProvideErrorMetadata;
use ecs_emulator::{Config, Emulator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::Running;

/// Sends a request with these headers, and returns the response.
async fn send(emulator: &Running, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(emulator.address).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream
        .write_all(format!("{head}{body}").as_bytes())
        .await
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

const TARGET: &str = "x-amz-target: AmazonEC2ContainerServiceV20141113.ListClusters\r\n";

#[tokio::test]
async fn refuses_web_pages_before_anything_else() {
    let emulator = Running::start().await;
    for headers in [
        "host: localhost\r\norigin: http://localhost:3000\r\n",
        "host: localhost\r\nsec-fetch-site: cross-site\r\n",
        // After DNS rebinding a browser sends the name of the page.
        "host: page.example\r\n",
    ] {
        let response = send(&emulator, &format!("{headers}{TARGET}"), "{}").await;
        assert!(
            response.starts_with("HTTP/1.1 403 "),
            "{headers}: {response}"
        );
        assert!(
            !response.to_lowercase().contains("access-control"),
            "{response}"
        );
    }
    emulator.stop().await;
}

#[tokio::test]
async fn refuses_calls_without_a_valid_signature() {
    let emulator = Running::start().await;
    let unsigned = send(&emulator, &format!("host: 127.0.0.1\r\n{TARGET}"), "{}").await;
    assert!(
        unsigned.contains("MissingAuthenticationTokenException"),
        "{unsigned}"
    );

    // The SDK signs these calls correctly, with keys that are not those of the emulator.
    for (id, secret, region, expected) in [
        (
            "AKIAOTHER",
            "secret",
            "us-east-1",
            "UnrecognizedClientException",
        ),
        (
            emulator.key_id(),
            "secret",
            "us-east-1",
            "InvalidSignatureException",
        ),
        (
            emulator.key_id(),
            "secret",
            "eu-central-1",
            "InvalidSignatureException",
        ),
    ] {
        let error = emulator
            .client_with(id, secret, region)
            .list_clusters()
            .send()
            .await
            .unwrap_err();
        assert_eq!(error.code(), Some(expected), "{id} {region}");
    }
    emulator.stop().await;
}

#[tokio::test]
async fn refuses_bodies_that_are_too_long_or_no_json() {
    let emulator = Running::start().await;
    let long = "x".repeat((1 << 20) + 1);
    let response = send(&emulator, &format!("host: localhost\r\n{TARGET}"), &long).await;
    assert!(
        response.starts_with("HTTP/1.1 413 "),
        "{}",
        &response[..100]
    );
    emulator.stop().await;
}

#[tokio::test]
async fn listens_on_loopback_only_and_once_per_project() {
    let root = tempfile::tempdir().unwrap();
    let config = || Config::new(root.path().to_owned(), "/bin/false".into());
    let public = TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(
        Emulator::new(config(), public)
            .unwrap_err()
            .to_string()
            .contains("loopback")
    );

    let listener = || TcpListener::bind("127.0.0.1:0");
    let first = Emulator::new(config(), listener().await.unwrap()).unwrap();
    let second = Emulator::new(config(), listener().await.unwrap()).unwrap_err();
    assert!(second.to_string().contains("already running"));

    let profile = first.key_files().profile.clone();
    assert!(profile.exists());
    drop(first);
    assert!(
        !profile.exists(),
        "keys that are not valid any more are deleted"
    );
}
