//! Pulls from a registry that misbehaves: cuts, wrong bytes, redirects, tokens that expire.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use registry::layout::{Compression, ImageConfig, LayerBuilder, Owner};
use registry::{
    Client, Credentials, Digest, ErrorKind, Limits, Platform, PullLimits, Store, layout,
};
use tempfile::TempDir;

/// A request: its path, and its headers in lower case.
#[derive(Clone, Debug)]
struct Request {
    path: String,
    headers: String,
}

/// A server whose handler returns the raw bytes of each response, after which the connection is closed.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(handler: impl Fn(&Request, usize) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, handler) = (requests.clone(), Arc::new(handler));

        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, handler) = (seen.clone(), handler.clone());
                std::thread::spawn(move || answer(stream.unwrap(), &seen, &*handler));
            }
        });
        Self { address, requests }
    }

    fn requests(&self, part: &str) -> Vec<Request> {
        let requests = self.requests.lock().unwrap();
        let found = requests
            .iter()
            .filter(|request| request.path.contains(part));
        found.cloned().collect()
    }

    fn image(&self) -> String {
        format!("{}/web:1", self.address)
    }
}

/// Answers one request; `handler` gets the number of earlier requests for the same path.
fn answer(
    stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    handler: &dyn Fn(&Request, usize) -> Vec<u8>,
) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let Some(first) = lines.first() else { return };
    let request = Request {
        path: first.split(' ').nth(1).unwrap().to_owned(),
        headers: lines[1..].join("\n").to_lowercase(),
    };

    let earlier = {
        let mut seen = seen.lock().unwrap();
        let earlier = seen.iter().filter(|old| old.path == request.path).count();
        seen.push(request.clone());
        earlier
    };
    let mut stream = reader.into_inner();
    let _ = stream.write_all(&handler(&request, earlier));
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read(&mut [0]);
}

fn ok(body: &[u8]) -> Vec<u8> {
    response("200 OK", "", body)
}

fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// An image of two layers and its blobs.
#[derive(Clone)]
struct Sample {
    index: Vec<u8>,
    blobs: Vec<(String, Vec<u8>)>,
    layers: Vec<Digest>,
}

impl Sample {
    fn new() -> Self {
        let layer = |name: &str, length: usize| {
            let mut builder = LayerBuilder::new(0);
            // Numbers that do not compress (Knuth's linear congruential generator).
            let mut number = 1_u64;
            let random = || {
                number = number
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                number.to_be_bytes()[0]
            };
            let content = std::iter::repeat_with(random).take(length).collect();
            builder.file(name, content, 0o644, Owner::ROOT).unwrap();
            builder.finish(Compression::Gzip).unwrap()
        };
        let config = ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            ..ImageConfig::default()
        };
        let layers = vec![layer("one", 300_000), layer("two", 10)];
        let digests = layers
            .iter()
            .map(|layer| layer.descriptor().digest.parse().unwrap())
            .collect();
        let image = layout::Image::new(config, layers, std::collections::BTreeMap::new());

        let index = layout::Index::new(vec![image.manifest().clone()]);
        let blobs = image.blobs().iter();
        Self {
            index: serde_json::to_vec(&index).unwrap(),
            blobs: blobs
                .map(|(descriptor, content)| (descriptor.digest.clone(), content.clone()))
                .collect(),
            layers: digests,
        }
    }

    /// Returns the response of a registry without faults.
    fn respond(&self, request: &Request) -> Vec<u8> {
        if request.path.ends_with("/manifests/1") {
            return ok(&self.index);
        }
        match self.blob(&request.path) {
            Some(content) => ok(content),
            None => response("404 Not Found", "", b"{}"),
        }
    }

    fn blob(&self, path: &str) -> Option<&[u8]> {
        let found = self.blobs.iter().find(|(digest, _)| path.ends_with(digest));
        found.map(|(_, content)| content.as_slice())
    }

    fn first(&self) -> &Digest {
        &self.layers[0]
    }
}

fn store() -> (TempDir, Store) {
    let folder = TempDir::new().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

async fn pull(image: &str, store: &Store) -> Result<layout::Layout, ErrorKind> {
    pull_as("{}", image, store, PullLimits::default()).await
}

async fn pull_as(
    credentials: &str,
    image: &str,
    store: &Store,
    pull_limits: PullLimits,
) -> Result<layout::Layout, ErrorKind> {
    let credentials: Credentials = serde_json::from_str(credentials).unwrap();
    let limits = Limits {
        request_timeout: Duration::from_secs(20),
        max_retry_wait: Duration::from_secs(5),
        ..Limits::default()
    };
    let client = Client::new(credentials, limits).unwrap();
    let platform = Platform::new("linux", "amd64");
    let pulled = client.open_image(image, Some(&platform), store).await;
    let pulled = pulled.map_err(|error| error.kind)?;
    let progress = Arc::new(|_| {});
    let fetched = client.fetch_layers(&pulled, store, pull_limits, progress);
    fetched.await.map_err(|error| error.kind)
}

fn assert_complete(layout: &layout::Layout) {
    let (manifest, _) = layout.image("linux/amd64").unwrap();
    assert_eq!(manifest.layers.len(), 2);
    for layer in &manifest.layers {
        layout.blob(layer).unwrap();
    }
}

#[tokio::test]
async fn what_is_in_the_store_is_not_fetched_again_and_what_is_damaged_is() {
    let sample = Sample::new();
    let served = sample.clone();
    let server = Server::start(move |request, _| served.respond(request));
    let (_folder, store) = store();
    assert_complete(&pull(&server.image(), &store).await.unwrap());
    assert_eq!(server.requests("/blobs/").len(), 3);

    // A tag may have moved, so only the index is requested again.
    assert_complete(&pull(&server.image(), &store).await.unwrap());
    assert_eq!(server.requests("/blobs/").len(), 3);
    assert_eq!(server.requests("/manifests/").len(), 3);

    let damaged = store.root().join("blobs/sha256").join(sample.first().hex());
    std::fs::write(&damaged, "something else").unwrap();
    assert_complete(&pull(&server.image(), &store).await.unwrap());
    assert_eq!(server.requests(sample.first().hex()).len(), 2);
}

#[tokio::test]
async fn a_pinned_image_in_the_store_needs_no_registry() {
    let sample = Sample::new();
    let served = sample.clone();
    let server = Server::start(move |request, _| served.respond(request));
    let (_folder, store) = store();
    pull(&server.image(), &store).await.unwrap();
    let before = server.requests("").len();

    let digest = Digest::from_content(&sample.index);
    let pinned = format!("{}/web@{digest}", server.address);
    assert_complete(&pull(&pinned, &store).await.unwrap());
    assert_eq!(server.requests("").len(), before);
}

#[tokio::test]
async fn a_cut_download_continues_with_a_range() {
    let sample = Sample::new();
    let (served, big) = (sample.clone(), sample.first().clone());
    let server = Server::start(move |request, earlier| {
        if !request.path.ends_with(big.hex()) {
            return served.respond(request);
        }
        let content = served.blob(&request.path).unwrap();
        let start = range_of(request);
        let status = if start == 0 {
            "200 OK"
        } else {
            "206 Partial Content"
        };
        let range = format!(
            "content-range: bytes {start}-{}/{}\r\n",
            content.len() - 1,
            content.len()
        );
        let whole = response(status, &range, &content[start..]);
        // The connection ends in the middle, twice.
        let length = if earlier < 2 {
            whole.len() - 150_000 + 70_000 * earlier
        } else {
            whole.len()
        };
        whole[..length.min(whole.len())].to_vec()
    });

    let (_folder, store) = store();
    assert_complete(&pull(&server.image(), &store).await.unwrap());
    let requests = server.requests(sample.first().hex());
    assert!(range_of(&requests[1]) > 100_000, "{requests:?}");
    assert_eq!(
        std::fs::read_dir(store.root().join("partial"))
            .unwrap()
            .count(),
        0
    );
}

fn range_of(request: &Request) -> usize {
    let range = request.headers.split_once("range: bytes=");
    range.map_or(0, |(_, rest)| {
        rest.split('-').next().unwrap().parse().unwrap()
    })
}

#[tokio::test]
async fn a_registry_without_ranges_sends_everything_again() {
    let sample = Sample::new();
    let (served, big) = (sample.clone(), sample.first().clone());
    let server = Server::start(move |request, earlier| {
        let mut whole = served.respond(request);
        if request.path.ends_with(big.hex()) && earlier == 0 {
            whole.truncate(100_000);
        }
        whole
    });
    let (_folder, store) = store();
    assert_complete(&pull(&server.image(), &store).await.unwrap());
    assert!(range_of(&server.requests(sample.first().hex())[1]) > 0);
}

#[tokio::test]
async fn the_next_process_continues_an_interrupted_download() {
    let sample = Sample::new();
    let served = sample.clone();
    let server = Server::start(move |request, _| match range_of(request) {
        0 => served.respond(request),
        start => {
            let rest = &served.blob(&request.path).unwrap()[start..];
            let range = format!("content-range: bytes {start}-/*\r\n");
            response("206 Partial Content", &range, rest)
        }
    });
    let (_folder, store) = store();
    let partial = store.root().join("partial").join(sample.first().hex());
    let content = &sample.blob(sample.first().as_str()).unwrap()[..1000];
    std::fs::write(&partial, content).unwrap();

    assert_complete(&pull(&server.image(), &store).await.unwrap());
    let requests = server.requests(sample.first().hex());
    assert_eq!(requests.iter().map(range_of).collect::<Vec<_>>(), [1000]);
}

#[tokio::test]
async fn other_bytes_than_the_digest_says_are_refused_and_not_kept() {
    let sample = Sample::new();
    let (served, big) = (sample.clone(), sample.first().clone());
    let server = Server::start(move |request, _| {
        let mut whole = served.respond(request);
        if request.path.ends_with(big.hex()) {
            *whole.last_mut().unwrap() ^= 1;
        }
        whole
    });
    let (_folder, store) = store();
    let error = pull(&server.image(), &store).await.unwrap_err();
    let expected = matches!(error, ErrorKind::DigestMismatch { .. });
    assert!(expected, "{error}");
    let path = |folder: &str| store.root().join(folder).join(sample.first().hex());
    assert!(!path("partial").exists() && !path("blobs/sha256").exists());
}

#[tokio::test]
async fn more_bytes_than_the_manifest_says_are_refused() {
    let sample = Sample::new();
    let (served, big) = (sample.clone(), sample.first().clone());
    let server = Server::start(move |request, _| {
        if request.path.ends_with(big.hex()) {
            return ok(&vec![b'x'; 1_000_000]);
        }
        served.respond(request)
    });
    let (_folder, store) = store();
    let error = pull(&server.image(), &store).await.unwrap_err();
    assert!(matches!(error, ErrorKind::SizeMismatch { .. }), "{error}");
}

#[tokio::test]
async fn a_login_page_instead_of_a_blob_or_a_manifest_is_refused() {
    let page = b"<html><body>Please log in</body></html>";
    let sample = Sample::new();
    let (served, big) = (sample.clone(), sample.first().clone());
    let server = Server::start(move |request, _| {
        if request.path.ends_with(big.hex()) || request.path.contains("/page/") {
            return response("200 OK", "content-type: text/html\r\n", page);
        }
        served.respond(request)
    });
    let (_folder, store) = store();
    let image = format!("{}/page/web:1", server.address);
    let error = pull(&image, &store).await.unwrap_err();
    assert!(error.to_string().contains("not JSON"), "{error}");
    assert!(pull(&server.image(), &store).await.is_err());
    let kept = store.root().join("blobs/sha256").join(sample.first().hex());
    assert!(!kept.exists());
}

#[tokio::test]
async fn a_token_that_expires_between_blobs_is_renewed() {
    let sample = Sample::new();
    let served = sample.clone();
    let server = Server::start(move |request, _| {
        let is_blob = request.path.contains("/blobs/");
        if is_blob && !request.headers.contains("authorization: basic") {
            let challenge = "www-authenticate: Basic realm=x\r\n";
            return response("401 Unauthorized", challenge, b"");
        }
        served.respond(request)
    });
    let (_folder, store) = store();
    let logins = format!(
        r#"{{"auths":{{"{}":{{"username":"me","password":"secret"}}}}}}"#,
        server.address
    );
    let limits = PullLimits::default();
    let layout = pull_as(&logins, &server.image(), &store, limits).await;
    assert_complete(&layout.unwrap());

    let (_other, store) = self::store();
    let error = pull(&server.image(), &store).await.unwrap_err();
    let denied = matches!(error, ErrorKind::Denied { .. });
    assert!(denied, "{error}");
}

#[tokio::test]
async fn storage_behind_a_redirect_never_sees_the_login() {
    let sample = Sample::new();
    let served = sample.clone();
    let storage = Server::start(move |request, _| served.respond(request));
    let (served, target) = (sample.clone(), storage.address.clone());
    let server = Server::start(move |request, _| {
        if !request.headers.contains("authorization:") {
            let challenge = "www-authenticate: Basic realm=x\r\n";
            return response("401 Unauthorized", challenge, b"");
        }
        if request.path.contains("/blobs/") {
            let location = format!("location: http://{target}{}\r\n", request.path);
            return response("307 Temporary Redirect", &location, b"");
        }
        served.respond(request)
    });

    let (_folder, store) = store();
    let logins = format!(
        r#"{{"auths":{{"{}":{{"username":"me","password":"secret"}}}}}}"#,
        server.address
    );
    let limits = PullLimits::default();
    let layout = pull_as(&logins, &server.image(), &store, limits).await;
    assert_complete(&layout.unwrap());
    let seen = storage.requests("/blobs/");
    assert_eq!(seen.len(), 3);
    assert!(
        seen.iter()
            .all(|request| !request.headers.contains("authorization"))
    );
}

#[tokio::test]
async fn an_image_beyond_the_limits_is_refused_before_the_first_layer() {
    let sample = Sample::new();
    let served = sample.clone();
    let server = Server::start(move |request, _| served.respond(request));
    let (_folder, store) = store();
    let few_layers = PullLimits {
        max_layers: 1,
        ..PullLimits::default()
    };
    let few_bytes = PullLimits {
        max_bytes: 1000,
        ..PullLimits::default()
    };
    for limits in [few_layers, few_bytes] {
        let error = pull_as("{}", &server.image(), &store, limits).await;
        let error = error.unwrap_err();
        assert!(matches!(error, ErrorKind::ImageTooLarge { .. }), "{error}");
    }
    assert_eq!(server.requests(sample.first().hex()).len(), 0);
}

#[tokio::test]
async fn an_artifact_of_another_kind_is_not_an_image() {
    let chart = r#"{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json",
        "digest":"sha256:00","size":2},"layers":[]}"#;
    let server = Server::start(move |_, _| ok(chart.as_bytes()));
    let (_folder, store) = store();
    let error = pull(&server.image(), &store).await.unwrap_err();
    assert!(error.to_string().contains("helm"), "{error}");
}
