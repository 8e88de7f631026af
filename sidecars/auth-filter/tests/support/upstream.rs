//! An upstream that reads HTTP/1.1 byte by byte and records every request.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct Recorder {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<RecordedRequest>>>,
    task: JoinHandle<()>,
}

/// A request as received.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRequest {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RecordedRequest {
    pub fn header(&self, name: &str) -> Vec<&str> {
        let same = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

impl Recorder {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let theirs = received.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let received = theirs.clone();
                tokio::spawn(async move { record(stream, &received).await });
            }
        });

        Self {
            address,
            received,
            task,
        }
    }

    /// Returns the requests received since the last call.
    pub fn take(&self) -> Vec<RecordedRequest> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn record(stream: TcpStream, received: &Mutex<Vec<RecordedRequest>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        received.lock().unwrap().push(request);
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        if stream.get_mut().write_all(answer).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<RecordedRequest> {
    let line = read_line(stream).await?;
    let mut received = RecordedRequest {
        line,
        headers: Vec::new(),
        body: Vec::new(),
    };

    read_headers(stream, &mut received).await?;
    if received.header("transfer-encoding") == ["chunked"] {
        loop {
            let size = usize::from_str_radix(&read_line(stream).await?, 16).unwrap();
            if size == 0 {
                break;
            }

            let mut chunk = vec![0; size];
            stream.read_exact(&mut chunk).await.ok()?;
            received.body.extend(chunk);
            read_line(stream).await?;
        }
        // Trailers are recorded as headers, because a careless app may merge them.
        read_headers(stream, &mut received).await?;
    } else if let [length] = received.header("content-length")[..] {
        received.body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut received.body).await.ok()?;
    }

    Some(received)
}

async fn read_headers(
    stream: &mut BufReader<TcpStream>,
    received: &mut RecordedRequest,
) -> Option<()> {
    loop {
        let line = read_line(stream).await?;
        if line.is_empty() {
            return Some(());
        }
        let (name, value) = line.split_once(':').unwrap();
        received
            .headers
            .push((name.to_owned(), value.trim().to_owned()));
    }
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(count) if count > 0 => Some(line.trim_end().to_owned()),
        _ => None,
    }
}
