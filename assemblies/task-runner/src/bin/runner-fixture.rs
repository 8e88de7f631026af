//! What the tests of the runner run: a program that behaves, or misbehaves, as its words say.
//!
//! | words | does |
//! |---|---|
//! | `serve` | prints `ready`, ends with 0 at SIGTERM |
//! | `echo ADDRESS` | prints `ready`, says back whatever it hears there, ends on SIGTERM |
//! | `stubborn` | prints `ready`, hears SIGTERM and stays |
//! | `eats N` | holds N MiB, prints `ready`, ends on SIGTERM |
//! | `deaf` | prints `ready`, has no handler for SIGTERM |
//! | `exit CODE` | ends at once |
//! | `exit-when FILE CODE` | ends once the file exists |
//! | `lines COUNT` | prints that many lines and ends |
//! | `orphan` | starts a `deaf` one in a session of its own, prints `orphan <pid>`, then as `serve` |
//! | `exists FILE` | ends with 0 when the file exists, otherwise with 1 |
//! | `environment` | prints its environment and ends |
//! | `supervise FOLDER` | runs a task of two, as the parent of everything |

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, thread};

use task_runner::sandbox::{Sandbox, Shape};
use task_runner::{Program, RunPlan, RunnerEvent, Secrets, init, run, stub};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

type Failure = Box<dyn std::error::Error>;

const SHAPE: Shape = Shape {
    network: true,
    shared_processes: false,
};
const PAUSE: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    if let Some(code) = init::intercept().or_else(stub::intercept) {
        return code;
    }

    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match behave(&words) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            let _ = writeln!(io::stderr(), "fixture: {failure}");
            ExitCode::from(99)
        }
    }
}

fn behave(words: &[&str]) -> Result<u8, Failure> {
    match words {
        ["serve"] => block_on(serve())?,
        ["echo", address] => block_on(echo(address))?,
        ["calls", address] => block_on(calls(address))?,
        ["stubborn"] => block_on(stubborn())?,
        ["deaf"] => {
            say("ready")?;
            loop {
                thread::sleep(Duration::from_hours(1));
            }
        }
        ["eats", mebibytes] => {
            let eaten = vec![1_u8; mebibytes.parse::<usize>()? * 1024 * 1024];
            say(&format!("ready with {}", eaten.len()))?;
            block_on(serve())?;
            // Held to the end.
            drop(eaten);
        }
        // Two threads, so that it takes whatever it is given; ends after so many ms.
        ["burns", milliseconds] => {
            let end = Instant::now() + Duration::from_millis(milliseconds.parse()?);
            let burn = move || while Instant::now() < end {};
            let other = thread::spawn(burn);
            burn();
            let _ = other.join();
        }
        ["fills", file, mebibytes] => {
            let bytes = vec![7; mebibytes.parse::<usize>()? << 20];
            if let Err(why) = std::fs::write(file, bytes) {
                say(&format!("cannot write: {why}"))?;
                std::fs::remove_file(file)?;
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
            return Err(Command::new(init::itself()?).arg("deaf").exec().into());
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
        _ => return Err(format!("no such behaviour: {words:?}").into()),
    }

    Ok(0)
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}

fn block_on(future: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future)
}

async fn echo(address: &str) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    let answer = async {
        loop {
            let (mut caller, _) = listener.accept().await?;
            tokio::spawn(async move {
                let (mut reader, mut writer) = caller.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    };

    tokio::select! {
        ended = serve() => ended,
        failed = answer => failed,
    }
}

/// Calls again and again, and says when it comes to be answered, or not answered.
async fn calls(address: &str) -> Result<(), Failure> {
    let mut stop = signal(SignalKind::terminate())?;
    let limit = Duration::from_millis(100);
    let call = async {
        let mut before = "";
        loop {
            let called = tokio::time::timeout(limit, tokio::net::TcpStream::connect(address)).await;
            let now = match called {
                Ok(Ok(_)) => "answered",
                Ok(Err(_)) => "refused",
                Err(_) => "silent",
            };

            if now != before {
                say(now)?;
            }
            before = now;
            tokio::time::sleep(limit / 10).await;
        }
    };

    tokio::select! {
        _ = stop.recv() => Ok(()),
        failed = call => failed,
    }
}

async fn serve() -> Result<(), Failure> {
    let mut stop = signal(SignalKind::terminate())?;
    say("ready")?;
    stop.recv().await;
    say("bye")?;
    Ok(())
}

async fn stubborn() -> Result<(), Failure> {
    let mut stop = signal(SignalKind::terminate())?;
    say("ready")?;
    loop {
        stop.recv().await;
        say("no")?;
    }
}

fn orphan() -> Result<(), Failure> {
    Command::new(init::itself()?).arg("detached").spawn()?;
    Ok(())
}

async fn supervise(folder: &str) -> Result<(), Failure> {
    let definition = serde_json::from_value(serde_json::json!({
        "family": "supervised",
        "containerDefinitions": [
            { "name": "one", "image": "one", "command": ["orphan"] },
            { "name": "two", "image": "two", "command": ["stubborn"] }
        ]
    }))?;

    let program = Program {
        binary: env::current_exe()?,
        arguments: vec![],
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
        init: init::itself()?,
        fast_health: 1,
        groups: None,
        sandbox: Sandbox::open(&init::itself()?, SHAPE).ok().map(Arc::new),
        kept: [].into(),
        hosts: None,
        volumes: [].into(),
    };

    let (events, mut heard) = mpsc::channel::<RunnerEvent>(256);
    let (_control, controlled) = mpsc::channel(1);
    let listen = async {
        while let Some(event) = heard.recv().await {
            let _ = say(&format!("{:?}", event.what));
        }
    };
    let (finished, ()) = tokio::join!(run(plan, events, controlled), listen);

    finished?;
    Ok(())
}
