//! Clients and servers that read and write as little or as much as they like.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A connection of a client.
pub(crate) trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

/// Connects to a service.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// Creates a client that trusts `certificate` and offers `protocol` (ALPN).
    pub(crate) fn with_tls(
        address: SocketAddr,
        certificate: CertificateDer<'static>,
        protocol: &str,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(certificate).expect("a valid certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("supported versions");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Self {
            address,
            tls: Some(Arc::new(config)),
        }
    }

    /// Opens a connection and writes `bytes`, as many as the service takes.
    pub(crate) fn send(&self, bytes: &[u8]) -> Box<dyn Stream> {
        self.send_within(Duration::from_millis(300), bytes)
    }

    fn send_within(&self, timeout: Duration, bytes: &[u8]) -> Box<dyn Stream> {
        let stream = TcpStream::connect(self.address).expect("the service accepts");
        stream.set_write_timeout(Some(timeout)).expect("valid");
        stream
            .set_read_timeout(Some(Duration::from_secs(100)))
            .expect("valid");
        let mut stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from("localhost").expect("valid");
                let session = ClientConnection::new(Arc::clone(config), name).expect("valid");
                Box::new(StreamOwned::new(session, stream))
            }
        };
        // The service may stop reading, or refuse the rest.
        let _ = stream.write_all(bytes).and_then(|()| stream.flush());
        stream
    }

    /// Sends `count` copies on as many connections, from a few threads, and returns the connections.
    pub(crate) fn send_many(&self, count: usize, bytes: &[u8]) -> Vec<Box<dyn Stream>> {
        let send = |_| {
            let (client, bytes) = (self.clone(), bytes.to_vec());
            let part = count / THREADS;
            thread::spawn(move || (0..part).map(|_| client.send(&bytes)).collect::<Vec<_>>())
        };
        let threads: Vec<_> = (0..THREADS).map(send).collect();
        let streams = threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"));
        streams.flatten().collect()
    }

    /// Sends a whole request and returns the status of the response; 0 if there is none.
    pub(crate) fn status(&self, request: &[u8]) -> u16 {
        let mut stream = self.send_within(Duration::from_secs(30), request);
        let mut head = [0; 12];
        if stream.read_exact(&mut head).is_err() {
            return 0;
        }
        let text = String::from_utf8_lossy(&head[9..]).into_owned();
        text.parse().unwrap_or(0)
    }

    /// Sends `count` copies of a whole request at once, and returns the statuses.
    pub(crate) fn statuses(&self, count: usize, request: &[u8]) -> Vec<u16> {
        let send = |_| {
            let (client, request) = (self.clone(), request.to_vec());
            thread::spawn(move || client.status(&request))
        };
        let threads: Vec<_> = (0..count).map(send).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    }
}

/// Returns an HTTP/1.1 request with a body.
pub(crate) fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Returns an HTTP/2 connection with requests that each have `body` unfinished, and windows of 0 for the responses.
pub(crate) fn http2(path: &str, streams: u32, body: &[u8]) -> Vec<u8> {
    let frame = |kind: u8, flags: u8, stream: u32, payload: &[u8]| {
        let length = (payload.len() as u32).to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        [&head, payload].concat()
    };
    // Literals without indexing (RFC 7541 section 6.2.2).
    let field = |name: &str, value: &str| {
        let name = [&[0, name.len() as u8], name.as_bytes()].concat();
        [&name, &[value.len() as u8][..], value.as_bytes()].concat()
    };
    let head = [
        field(":method", "POST"),
        field(":scheme", "https"),
        field(":authority", "localhost"),
        field(":path", path),
    ]
    .concat();

    // SETTINGS_INITIAL_WINDOW_SIZE (RFC 9113 section 6.5.2), then an acknowledgement.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    bytes.extend(frame(4, 1, 0, &[]));
    for number in 0..streams {
        let stream = 2 * number + 1;
        bytes.extend(frame(1, 4, stream, &head));
        for part in body.chunks(16_000) {
            bytes.extend(frame(0, 0, stream, part));
        }
    }
    bytes
}

/// An app: `/never` reads nothing more, `/large` responds with 2 MB, everything else with 200.
pub(crate) fn app() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => head.extend(&buffer[..count]),
            _ => return,
        }
    }

    let text = String::from_utf8_lossy(&head).into_owned();
    if text.contains(" /never ") {
        // Until the test ends.
        thread::sleep(Duration::from_mins(10));
    }
    let length = if text.contains(" /large ") {
        2_000_000
    } else {
        2
    };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&vec![b'x'; length]);
}

/// Enough to use the processors, and few enough for a handshake to be done in time.
const THREADS: usize = 4;
