//! A registry in memory that accepts pushes and misbehaves on request, and a connection that is cut.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use registry::Digest;
use registry::layout::{Compression, Image, ImageConfig, LayerBuilder, Layout, Owner};
use tokio::net::TcpListener;

/// A request as the registry received it.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: Method,
    /// The path and query.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) content_length: Option<u64>,
}

impl Recorded {
    pub(crate) fn is(&self, method: &Method, part: &str) -> bool {
        self.method == *method && self.path.contains(part)
    }
}

pub(crate) type Answer = Response<Full<Bytes>>;

/// Returns the answer to a request instead of the usual one; it gets the requests so far, the last one included.
type Fault = Arc<dyn Fn(&Store, &[Recorded]) -> Option<Answer> + Send + Sync>;

/// The content of the registry.
#[derive(Default)]
pub(crate) struct Content {
    pub(crate) blobs: BTreeMap<(String, String), Bytes>,
    /// By repository and tag or digest: the digest and the content.
    pub(crate) manifests: BTreeMap<(String, String), (String, Bytes)>,
    uploads: u64,
}

/// The registry.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) address: SocketAddr,
    pub(crate) content: Arc<Mutex<Content>>,
    pub(crate) requests: Arc<Mutex<Vec<Recorded>>>,
}

impl Store {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_, _| None).await
    }

    pub(crate) async fn start_with(
        fault: impl Fn(&Self, &[Recorded]) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let store = Self {
            address: listener.local_addr().unwrap(),
            content: Arc::default(),
            requests: Arc::default(),
        };
        let (started, fault): (Self, Fault) = (store.clone(), Arc::new(fault));

        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (store, fault) = (started.clone(), fault.clone());
                let service = service_fn(move |request| {
                    let (store, fault) = (store.clone(), fault.clone());
                    async move { Ok::<_, Infallible>(store.answer(request, fault).await) }
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });

        store
    }

    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub(crate) fn recorded_requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, method: &Method, part: &str) -> usize {
        let recorded = self.recorded_requests();
        recorded
            .iter()
            .filter(|request| request.is(method, part))
            .count()
    }

    /// Returns the digest of a tag.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Option<String> {
        let content = self.content.lock().unwrap();
        let found = content
            .manifests
            .get(&(repository.to_owned(), tag.to_owned()));
        found.map(|(digest, _)| digest.clone())
    }

    pub(crate) fn set_tag(&self, repository: &str, tag: &str, content: &str) -> Digest {
        let digest = Digest::from_content(content.as_bytes());
        let value = (digest.to_string(), Bytes::from(content.to_owned()));
        let key = (repository.to_owned(), tag.to_owned());
        self.content.lock().unwrap().manifests.insert(key, value);
        digest
    }

    async fn answer(&self, request: Request<Incoming>, fault: Fault) -> Answer {
        let header = |name| Some(request.headers().get(name)?.to_str().unwrap().to_owned());
        let recorded = Recorded {
            method: request.method().clone(),
            path: request.uri().to_string(),
            authorization: header("authorization"),
            content_length: header("content-length").map(|text| text.parse().unwrap()),
        };

        let so_far = {
            let mut requests = self.requests.lock().unwrap();
            requests.push(recorded.clone());
            requests.clone()
        };
        if let Some(answer) = fault(self, &so_far) {
            return answer;
        }

        // An incomplete body has no effect, as in a real registry.
        match request.into_body().collect().await {
            Ok(body) => self.handle(&recorded, body.to_bytes()),
            Err(_) => answer(400),
        }
    }

    fn handle(&self, request: &Recorded, body: Bytes) -> Answer {
        let mut content = self.content.lock().unwrap();
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let rest = path.trim_start_matches("/v2/");
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            let mut found = pairs.filter(|(key, _)| *key == name);
            found
                .next()
                .map(|(_, value)| value.replace("%3A", ":").replace("%2F", "/"))
        };

        if let Some((repository, name)) = rest.split_once("/manifests/") {
            let key = (repository.to_owned(), name.to_owned());
            return match request.method {
                Method::PUT => content.put_manifest(repository, name, body),
                _ => match content.manifests.get(&key) {
                    Some((digest, text)) => reply(200, text.clone(), digest),
                    None => answer(404),
                },
            };
        }

        let (repository, name) = rest.split_once("/blobs/").unwrap();
        match (&request.method, name.strip_prefix("uploads/")) {
            (&Method::POST, _) => {
                let source = parameter("from").zip(parameter("mount"));
                if let Some(blob) = source.and_then(|key| content.blobs.get(&key).cloned()) {
                    let key = (repository.to_owned(), parameter("mount").unwrap());
                    content.blobs.insert(key, blob);
                    return answer(201);
                }
                content.uploads += 1;
                // Relative and with a query, as the specification allows.
                let location =
                    format!("/v2/{repository}/blobs/uploads/{}?state=a", content.uploads);
                Response::builder()
                    .status(202)
                    .header("location", location)
                    .body(Full::default())
                    .unwrap()
            }
            (&Method::PUT, Some(_)) => {
                let digest = parameter("digest").unwrap();
                if Digest::from_content(&body).as_str() != digest || !query.contains("state=a") {
                    return answer(400);
                }
                content
                    .blobs
                    .insert((repository.to_owned(), digest.clone()), body);
                reply(201, Bytes::new(), &digest)
            }
            // The answer of Amazon ECR, with an outdated range.
            (&Method::PATCH, _) => answer(201),
            _ => match content.blobs.get(&(repository.to_owned(), name.to_owned())) {
                Some(_) => answer(200),
                None => answer(404),
            },
        }
    }
}

impl Content {
    fn put_manifest(&mut self, repository: &str, name: &str, body: Bytes) -> Answer {
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let has = |digest: &serde_json::Value| {
            let key = (
                repository.to_owned(),
                digest["digest"].as_str().unwrap().to_owned(),
            );
            self.blobs.contains_key(&key) || self.manifests.contains_key(&key)
        };
        let lists = ["layers", "manifests"].map(|name| document[name].as_array());
        let mut references: Vec<_> = lists.into_iter().flatten().flatten().collect();
        references.extend(document.get("config"));
        // The order that every registry requires.
        if !references.into_iter().all(has) {
            return answer(400);
        }

        let digest = Digest::from_content(&body).to_string();
        for name in [name, &digest] {
            let key = (repository.to_owned(), name.to_owned());
            self.manifests.insert(key, (digest.clone(), body.clone()));
        }
        reply(201, Bytes::new(), &digest)
    }
}

pub(crate) fn answer(status: u16) -> Answer {
    let body = Full::default();
    Response::builder().status(status).body(body).unwrap()
}

pub(crate) fn reply(status: u16, body: Bytes, digest: &str) -> Answer {
    Response::builder()
        .status(status)
        .header("docker-content-digest", digest)
        .body(Full::new(body))
        .unwrap()
}

pub(crate) fn with_header(status: u16, name: &str, value: &str) -> Answer {
    let body = Full::default();
    let builder = Response::builder().status(status).header(name, value);
    builder.body(body).unwrap()
}

/// Writes a layout with an image for each architecture; the content is that of its larger layer.
pub(crate) fn layout(folder: &Path, content: &[u8], architectures: &[&str]) -> Layout {
    let image = |architecture: &&str| {
        let layers = [content, architecture.as_bytes()].map(|content| {
            let mut layer = LayerBuilder::new(0);
            let outcome = layer.file("/program", content.to_vec(), 0o755, Owner::ROOT);
            outcome.unwrap();
            layer.finish(Compression::Gzip).unwrap()
        });
        let config = ImageConfig {
            architecture: (*architecture).to_owned(),
            os: "linux".to_owned(),
            ..ImageConfig::default()
        };
        Image::new(config, layers.into(), BTreeMap::new())
    };

    let images: Vec<Image> = architectures.iter().map(image).collect();
    registry::layout::write(folder, "1", &images).unwrap();
    Layout::open(folder).unwrap()
}

/// Returns bytes that do not compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        // The generator of Numerical Recipes; any other would do.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Forwards connections, and cuts all of them once after a number of bytes in one direction.
pub(crate) struct CuttingProxy {
    pub(crate) address: SocketAddr,
    /// The bytes so far: from the client, and from the server.
    pub(crate) bytes: [Arc<AtomicU64>; 2],
}

impl CuttingProxy {
    /// Starts a proxy; `cut` is the direction (0: from the client) and the number of bytes.
    pub(crate) fn start(target: SocketAddr, cut: Option<(usize, u64)>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            bytes: Default::default(),
        };
        let bytes = proxy.bytes.clone();
        // Threads end with their connections, and the listener's with the test process.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(target).unwrap();
                for direction in [0, 1] {
                    let ends = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                    let bytes = bytes[direction].clone();
                    let limit = cut.filter(|(cut, _)| *cut == direction);
                    std::thread::spawn(move || {
                        forward(
                            &ends[direction],
                            &ends[1 - direction],
                            &bytes,
                            limit.map(|(_, limit)| limit),
                        );
                    });
                }
            }
        });

        proxy
    }
}

fn forward(mut from: &TcpStream, mut to: &TcpStream, bytes: &AtomicU64, limit: Option<u64>) {
    let mut buffer = [0; 4096];
    loop {
        let count = from.read(&mut buffer).unwrap_or(0);
        let before = bytes.fetch_add(count as u64, Ordering::Relaxed);
        let after = before + count as u64;
        // The connection that crosses the limit is cut, exactly there; later ones are not.
        let cut = limit.filter(|limit| before < *limit && *limit <= after);
        let forwarded = cut.map_or(count, |limit| (limit - before) as usize);
        let is_open = count > 0 && to.write_all(&buffer[..forwarded]).is_ok();

        if !is_open || cut.is_some() {
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
            return;
        }
    }
}
