//! The program the runner's tests run as containers. Its arguments select the behavior.
//!
//! | arguments | behavior |
//! |---|---|
//! | `serve` | prints `ready`, exits 0 on SIGTERM |
//! | `echo ADDRESS` | listens there, prints `ready`, echoes what it receives, exits on SIGTERM |
//! | `call ADDRESS` | connects again and again, prints `answered`, `refused` or `silent` on each change |
//! | `ignore-term` | prints `ready`, handles SIGTERM and stays |
//! | `no-handler` | prints `ready`, has no handler for SIGTERM |
//! | `allocate N` | allocates N MiB, prints `ready`, exits on SIGTERM |
//! | `burn-cpu N` | uses two processors for N ms |
//! | `fill FILE N` | writes N MiB to a file; exits 28 if that fails |
//! | `exit CODE` | exits at once |
//! | `exit-when FILE CODE` | exits once the file exists |
//! | `lines COUNT` | prints that many lines and exits |
//! | `orphan` | starts `no-handler` in its own session, which prints `orphan <pid>`, then as `serve` |
//! | `exists FILE` | exits 0 if the file exists, otherwise 1 |
//! | `environment` | prints its environment and exits |
//! | `enter PID COMMAND…` | runs a command in a container |
//! | `supervise FOLDER` | runs a task with two containers |

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, thread};

use task_runner::sandbox::{Isolation, Sandbox};
use task_runner::{Program, RunPlan, RunnerEvent, Secrets, init, run, stub};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

type BoxError = Box<dyn std::error::Error>;

const ISOLATION: Isolation = Isolation {
    network: true,
    shared_pid_namespace: false,
};
const PAUSE: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    if let Some(code) = init::run_if_init().or_else(stub::run_if_stub) {
        return code;
    }

    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match behave(&words) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "fixture: {error}");
            ExitCode::from(99)
        }
    }
}

fn behave(words: &[&str]) -> Result<u8, BoxError> {
    match words {
        ["serve"] => block_on(serve())?,
        ["echo", address] => block_on(echo(address))?,
        ["call", address] => block_on(call(address))?,
        ["ignore-term"] => block_on(ignore_term())?,
        ["no-handler"] => {
            say("ready")?;
            loop {
                thread::sleep(Duration::from_hours(1));
            }
        }
        ["allocate", mebibytes] => {
            // Written to, not only reserved: untouched pages take no memory.
            let memory = vec![1_u8; mebibytes.parse::<usize>()? * 1024 * 1024];
            // Not `ready`: that line must follow the SIGTERM handler, which `serve` installs.
            say(&format!("allocated {}", memory.len()))?;
            block_on(serve())?;
            // Allocated until the end.
            drop(memory);
        }
        // Two threads, so that it uses more than one processor if it can.
        ["burn-cpu", milliseconds] => {
            let end = Instant::now() + Duration::from_millis(milliseconds.parse()?);
            let burn = move || while Instant::now() < end {};
            let other = thread::spawn(burn);
            burn();
            let _ = other.join();
        }
        ["fill", file, mebibytes] => {
            let bytes = vec![7; mebibytes.parse::<usize>()? << 20];
            if let Err(error) = std::fs::write(file, bytes) {
                say(&format!("cannot write: {error}"))?;
                std::fs::remove_file(file)?;
                // The number of ENOSPC.
                return Ok(28);
            }
        }
        ["exit", code] => return Ok(code.parse()?),
        ["exit-when", file, code] => {
            while !Path::new(file).exists() {
                thread::sleep(PAUSE);
            }
            return Ok(code.parse()?);
        }
        ["lines", count] => {
            for number in 0..count.parse::<u32>()? {
                say(&format!("line {number}"))?;
            }
        }
        ["orphan"] => {
            orphan()?;
            block_on(serve())?;
        }
        ["detached"] => {
            rustix::process::setsid()?;
            say(&format!("orphan {}", std::process::id()))?;
            return Err(Command::new(init::own_executable()?)
                .arg("no-handler")
                .exec()
                .into());
        }
        ["exists", file] => return Ok(u8::from(!Path::new(file).exists())),
        ["environment"] => {
            for (name, value) in env::vars() {
                say(&format!("{name}={value}"))?;
            }
        }
        ["enter", pid, command @ ..] => {
            let command: Vec<String> = command.iter().map(ToString::to_string).collect();
            return Ok(u8::try_from(task_runner::enter(pid.parse()?, &command)?)?);
        }
        ["supervise", folder] => block_on(supervise(folder))?,
        _ => return Err(format!("unknown behavior: {words:?}").into()),
    }

    Ok(0)
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn block_on(future: impl Future<Output = Result<(), BoxError>>) -> Result<(), BoxError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

async fn echo(address: &str) -> Result<(), BoxError> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let serve_clients = async {
        loop {
            let (mut client, _) = listener.accept().await?;
            tokio::spawn(async move {
                let (mut reader, mut writer) = client.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    };

    tokio::select! {
                result = serve() => result,
                result = serve_clients => result,
    }
}

/// Connects again and again, and prints each change of the result.
async fn call(address: &str) -> Result<(), BoxError> {
    let mut stop = signal(SignalKind::terminate())?;
    let limit = Duration::from_millis(100);
    let call_repeatedly = async {
        let mut previous = "";
        loop {
            let connected =
                tokio::time::timeout(limit, tokio::net::TcpStream::connect(address)).await;
            let result = match connected {
                Ok(Ok(_)) => "answered",
                Ok(Err(_)) => "refused",
                // A dropped SYN gets no answer at all.
                Err(_) => "silent",
            };

            if result != previous {
                say(result)?;
            }
            previous = result;
            tokio::time::sleep(limit / 10).await;
        }
    };

    tokio::select! {
        _ = stop.recv() => Ok(()),
                result = call_repeatedly => result,
    }
}

async fn serve() -> Result<(), BoxError> {
    let mut stop = signal(SignalKind::terminate())?;
    say("ready")?;
    stop.recv().await;
    say("bye")?;
    Ok(())
}

async fn ignore_term() -> Result<(), BoxError> {
    let mut stop = signal(SignalKind::terminate())?;
    say("ready")?;
    loop {
        stop.recv().await;
        say("no")?;
    }
}

fn orphan() -> Result<(), BoxError> {
    Command::new(init::own_executable()?)
        .arg("detached")
        .spawn()?;
    Ok(())
}

async fn supervise(folder: &str) -> Result<(), BoxError> {
    let definition = serde_json::from_value(serde_json::json!({
        "family": "supervised",
        "containerDefinitions": [
            { "name": "one", "image": "one", "command": ["orphan"] },
                    { "name": "two", "image": "two", "command": ["ignore-term"] }
        ]
    }))?;

    let program = Program {
        binary: env::current_exe()?,
        arguments: vec![],
        called_as: vec![],
        folder: folder.into(),
        image: None,
    };

    let plan = RunPlan {
        definition,
        programs: ["one", "two"]
            .map(|name| (name.to_owned(), program.clone()))
            .into(),
        environment: [].into(),
        defaults: [].into(),
        secrets: Secrets::default(),
        folder: folder.into(),
        init: init::own_executable()?,
        fast_health: 1,
        cgroups: None,
        sandbox: Sandbox::open(&init::own_executable()?, ISOLATION)
            .ok()
            .map(Arc::new),
        writable_paths: [].into(),
        hosts: None,
        volumes: [].into(),
    };

    let (events, mut received) = mpsc::channel::<RunnerEvent>(256);
    let (_control, controlled) = mpsc::channel(1);
    let listen = async {
        while let Some(event) = received.recv().await {
            let _ = say(&format!("{:?}", event.kind));
        }
    };
    let (report, ()) = tokio::join!(run(plan, events, controlled), listen);

    report?;
    Ok(())
}
