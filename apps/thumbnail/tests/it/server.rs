//! A small HTTP/1.1 server that serves ranges, accepts uploads, and simulates failures.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request that the server received.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReceivedRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// How the server responds to a path.
#[derive(Debug, Clone)]
pub(crate) enum Behavior {
    /// Serves these bytes, in ranges.
    Video(Vec<u8>),
    /// Serves these bytes completely, ignoring `Range`.
    Whole(Vec<u8>),
    /// Responds with this status and header, without a body.
    Status(u16, &'static str, String),
    /// Closes the connection this many times without a response, then serves these bytes.
    Flaky(usize, Vec<u8>),
    /// Never responds.
    Silent,
}

#[derive(Default)]
struct State {
    paths: HashMap<String, Behavior>,
    requests: Vec<ReceivedRequest>,
}

/// A server on a random loopback port, for the duration of a test.
#[derive(Clone)]
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(|stream| Some(Box::new(stream)))
    }

    /// Starts a server with TLS; also returns its new certificate as PEM.
    pub(crate) fn start_tls() -> (Self, String) {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();

        let config = Arc::new(config);
        let server = Self::start_with(move |stream| {
            let connection = rustls::ServerConnection::new(config.clone()).ok()?;
            Some(Box::new(rustls::StreamOwned::new(connection, stream)))
        });

        (server, certified.cert.pem())
    }

    pub(crate) fn serve(&self, path: &str, behavior: Behavior) -> String {
        self.state
            .lock()
            .unwrap()
            .paths
            .insert(path.to_owned(), behavior);
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<ReceivedRequest> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Clears the recorded requests.
    pub(crate) fn clear_requests(&self) {
        self.state.lock().unwrap().requests.clear();
    }

    fn start_with<F>(wrap: F) -> Self
    where
        F: Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let server = Self { state, address };
        let serving = server.clone();
        let wrap = Arc::new(wrap);

        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (serving, wrap) = (serving.clone(), wrap.clone());
                std::thread::spawn(move || {
                    // A failed TLS handshake only ends this connection.
                    if let Some(stream) = wrap(stream) {
                        serving.talk(stream);
                    }
                });
            }
        });

        server
    }

    /// Handles requests until the connection ends.
    fn talk(&self, stream: Box<dyn Stream>) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let request = read(&mut stream)?;
            let behavior = self.behavior(&request);
            if let Some(Behavior::Silent) = behavior {
                // Waits until the client gives up.
                stream.read_to_end(&mut Vec::new()).ok()?;
            }

            let answer = answer(&request, behavior)?;
            stream.get_mut().write_all(&answer).ok()?;
            stream.get_mut().flush().ok()?;
        }
    }

    fn behavior(&self, request: &ReceivedRequest) -> Option<Behavior> {
        let mut state = self.state.lock().unwrap();
        state.requests.push(request.clone());
        if request.method == "PUT" {
            let stored = state
                .paths
                .entry(request.path.clone())
                .or_insert(Behavior::Video(Vec::new()));
            if let Behavior::Video(bytes) = stored {
                bytes.clone_from(&request.body);
            }
        }

        let behavior = state.paths.get_mut(&request.path)?;
        // Copied before the countdown, which applies to the next request.
        let now = behavior.clone();
        if let Behavior::Flaky(left, _) = behavior {
            *left = left.saturating_sub(1);
        }

        Some(now)
    }
}

pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

fn read(stream: &mut impl BufRead) -> Option<ReceivedRequest> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let mut request = ReceivedRequest {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        ..ReceivedRequest::default()
    };

    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };

        request
            .headers
            .insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }

    let length = request
        .headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());

    request.body = vec![0; length];
    stream.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn answer(request: &ReceivedRequest, behavior: Option<Behavior>) -> Option<Vec<u8>> {
    let (status, header, body) = match behavior {
        None => (404, String::new(), Vec::new()),
        Some(Behavior::Status(status, name, value)) => {
            (status, format!("{name}: {value}\r\n"), Vec::new())
        }
        Some(Behavior::Video(_)) if request.method == "PUT" => (200, String::new(), Vec::new()),
        Some(Behavior::Video(video) | Behavior::Flaky(0, video)) => part(request, &video),
        Some(Behavior::Whole(video)) => (200, String::new(), video),
        Some(Behavior::Flaky(..) | Behavior::Silent) => return None,
    };

    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{header}\r\n",
        body.len()
    );

    Some([head.into_bytes(), body].concat())
}

fn part(request: &ReceivedRequest, video: &[u8]) -> (u16, String, Vec<u8>) {
    let range = request
        .headers
        .get("range")
        .and_then(|range| range.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|range| range.split_once('-')) else {
        return (200, String::new(), video.to_vec());
    };
    let first: usize = first.parse().unwrap();
    let size = video.len();

    if first >= size {
        return (
            416,
            format!("content-range: bytes */{size}\r\n"),
            Vec::new(),
        );
    }

    let last = last.parse::<usize>().unwrap().min(size - 1);
    let header = format!("content-range: bytes {first}-{last}/{size}\r\netag: \"one\"\r\n");
    (206, header, video[first..=last].to_vec())
}
