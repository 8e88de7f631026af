//! One real process with its output gathered, and waits that end.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running process whose two streams are gathered while it runs.
///
/// Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Gathered,
    stderr: Gathered,
}

/// How a process ended and what it said.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code, or 128 + the signal that ended it.
    pub code: i32,
    /// Everything it wrote to standard output.
    pub stdout: String,
    /// Everything it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Both streams, for messages and for searching what must not be printed anywhere.
    pub fn output(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }
}

impl Process {
    /// Starts `command` without standard input.
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));

        let stdout = Gathered::from(child.stdout.take().expect("piped"));
        let stderr = Gathered::from(child.stderr.take().expect("piped"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Starts `command`, waits at most `limit` for its end, and kills it (and fails) beyond.
    pub fn finish(command: Command, limit: Duration) -> Finished {
        Self::start(command).end_within(limit)
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until either stream holds `text`; fails with all that was said after `limit`.
    pub fn wait_for(&mut self, text: &str, limit: Duration) {
        let found = wait_until(limit, || {
            self.stdout().contains(text) || self.stderr().contains(text) || !self.is_running()
        });
        let (stdout, stderr) = (self.stdout(), self.stderr());
        assert!(
            found && (stdout.contains(text) || stderr.contains(text)),
            "`{text}` was not said within {limit:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        );
    }

    /// Sends a signal by its name (`TERM`, `INT`, `KILL`).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([format!("-{name}"), self.id().to_string()])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "cannot signal {}",
            self.id()
        );
    }

    /// Waits for the end, at most `limit`.
    pub fn end_within(mut self, limit: Duration) -> Finished {
        let ended = wait_until(limit, || !self.is_running());
        if !ended {
            let _ = self.child.kill();
        }

        let status = self.child.wait().expect("a child can be waited for");
        let finished = Finished {
            code: exit_code(status),
            stdout: self.stdout.drain(),
            stderr: self.stderr.drain(),
        };

        assert!(ended, "did not end within {limit:?}\n{}", finished.output());
        finished
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks `condition` every 20 ms until it holds or `limit` is over; says whether it held.
pub fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

#[derive(Debug)]
struct Gathered {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Gathered {
    fn from(stream: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                shared
                    .lock()
                    .expect("not poisoned")
                    .push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });

        Self {
            text,
            reader: Some(reader),
        }
    }

    fn text(&self) -> String {
        self.text.lock().expect("not poisoned").clone()
    }

    /// What was written until the stream closed; a grandchild that keeps it open is not waited for.
    fn drain(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            wait_until(Duration::from_secs(2), || reader.is_finished());
        }
        self.text()
    }
}
