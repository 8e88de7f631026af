//! A small HTTP/1.1 server that serves ranges, keeps what is stored, and can misbehave.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server has been asked, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

/// How the server treats a path.
#[derive(Debug, Clone)]
pub(crate) enum Conduct {
    /// Serves these bytes, by ranges.
    Film(Vec<u8>),
    /// Serves these bytes as a whole, whatever range is asked for.
    Whole(Vec<u8>),
    /// Answers this status with this header, and nothing else.
    Status(u16, &'static str, String),
    /// Closes the connection this many times without an answer, then serves these bytes.
    Flaky(usize, Vec<u8>),
    /// Never answers.
    Silent,
}

#[derive(Default)]
struct State {
    paths: HashMap<String, Conduct>,
    asked: Vec<Asked>,
}

/// A server on a loopback port of its own, for as long as the test runs.
#[derive(Clone)]
pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(|stream| Some(Box::new(stream)))
    }

    /// A server that speaks TLS with a new certificate, which is returned as PEM.
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

    pub(crate) fn serve(&self, path: &str, conduct: Conduct) -> String {
        self.state
            .lock()
            .unwrap()
            .paths
            .insert(path.to_owned(), conduct);
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }

    /// Forgets what has been asked so far.
    pub(crate) fn forget(&self) {
        self.state.lock().unwrap().asked.clear();
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
                    if let Some(stream) = wrap(stream) {
                        serving.talk(stream);
                    }
                });
            }
        });

        server
    }

    /// Answers one request after the other until something ends it.
    fn talk(&self, stream: Box<dyn Stream>) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let asked = read(&mut stream)?;
            let conduct = self.conduct(&asked);
            if let Some(Conduct::Silent) = conduct {
                // Until the client gives up.
                stream.read_to_end(&mut Vec::new()).ok()?;
            }

            let answer = answer(&asked, conduct)?;
            stream.get_mut().write_all(&answer).ok()?;
            stream.get_mut().flush().ok()?;
        }
    }

    fn conduct(&self, asked: &Asked) -> Option<Conduct> {
        let mut state = self.state.lock().unwrap();
        state.asked.push(asked.clone());
        if asked.method == "PUT" {
            let stored = state
                .paths
                .entry(asked.path.clone())
                .or_insert(Conduct::Film(Vec::new()));
            if let Conduct::Film(bytes) = stored {
                bytes.clone_from(&asked.body);
            }
        }

        let conduct = state.paths.get_mut(&asked.path)?;
        let now = conduct.clone();
        if let Conduct::Flaky(left, _) = conduct {
            *left = left.saturating_sub(1);
        }

        Some(now)
    }
}

pub(crate) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

fn read(stream: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let mut asked = Asked {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        ..Asked::default()
    };

    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };

        asked
            .headers
            .insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }

    let length = asked
        .headers
        .get("content-length")
        .map_or(0, |it| it.parse().unwrap());

    asked.body = vec![0; length];
    stream.read_exact(&mut asked.body).ok()?;
    Some(asked)
}

fn answer(asked: &Asked, conduct: Option<Conduct>) -> Option<Vec<u8>> {
    let (status, header, body) = match conduct {
        None => (404, String::new(), Vec::new()),
        Some(Conduct::Status(status, name, value)) => {
            (status, format!("{name}: {value}\r\n"), Vec::new())
        }
        Some(Conduct::Film(_)) if asked.method == "PUT" => (200, String::new(), Vec::new()),
        Some(Conduct::Film(film) | Conduct::Flaky(0, film)) => part(asked, &film),
        Some(Conduct::Whole(film)) => (200, String::new(), film),
        Some(Conduct::Flaky(..) | Conduct::Silent) => return None,
    };

    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{header}\r\n",
        body.len()
    );

    Some([head.into_bytes(), body].concat())
}

fn part(asked: &Asked, film: &[u8]) -> (u16, String, Vec<u8>) {
    let range = asked
        .headers
        .get("range")
        .and_then(|it| it.strip_prefix("bytes="));
    let Some((first, last)) = range.and_then(|it| it.split_once('-')) else {
        return (200, String::new(), film.to_vec());
    };
    let first: usize = first.parse().unwrap();
    let size = film.len();

    if first >= size {
        return (
            416,
            format!("content-range: bytes */{size}\r\n"),
            Vec::new(),
        );
    }

    let last = last.parse::<usize>().unwrap().min(size - 1);
    let header = format!("content-range: bytes {first}-{last}/{size}\r\netag: \"one\"\r\n");
    (206, header, film[first..=last].to_vec())
}
