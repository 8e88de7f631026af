//! The fault injection endpoints: a task asks for trouble with its own network.
//!
//! Source: ECS developer guide, "Amazon ECS fault injection endpoints"; the shapes are the agent's, which AWS
//! FIS uses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::server::Answer;
use super::view::TaskView;
use crate::sandbox::{BlackHole, Faults, Network, Traffic, Trouble, What};

/// What a task can ask for, and when it last did.
#[derive(Debug)]
pub(super) struct Injection {
    faults: Option<Arc<Faults>>,
    asked: Mutex<BTreeMap<String, Instant>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Hole {
    port: u16,
    protocol: Protocol,
    traffic_type: Direction,
    #[serde(default)]
    sources_to_filter: Vec<String>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Protocol {
    Tcp,
    Udp,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Ingress,
    Egress,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Latency {
    delay_milliseconds: u64,
    jitter_milliseconds: u64,
    sources: Vec<String>,
    #[serde(default)]
    sources_to_filter: Vec<String>,
    flows_percent: Option<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Loss {
    loss_percent: u8,
    sources: Vec<String>,
    #[serde(default)]
    sources_to_filter: Vec<String>,
    flows_percent: Option<u8>,
}

/// A status of the agent, or what it says instead.
type Told = Result<&'static str, (u16, String)>;

impl Injection {
    /// With the faults of the task's network, where it has one.
    pub(super) fn new(faults: Option<Arc<Faults>>) -> Self {
        Self {
            faults,
            asked: Mutex::default(),
        }
    }

    /// Answers a request for `fault/verb`.
    pub(super) fn ask(&self, view: &TaskView, fault: &str, verb: &str, body: &[u8]) -> Answer {
        match self.told(view, fault, verb, body) {
            Ok(status) => (200, json!({ "Status": status })),
            Err((status, why)) => (status, json!({ "Error": why })),
        }
    }

    fn told(&self, view: &TaskView, fault: &str, verb: &str, body: &[u8]) -> Told {
        if !view.fault_injection {
            let arn = view.arn();
            return Err((
                400,
                format!("enableFaultInjection is not enabled for task: {arn}"),
            ));
        }

        let Some(faults) = &self.faults else {
            let why = "the task shares the network of this machine, which no fault is put into";
            return Err((400, why.to_owned()));
        };

        if !matches!(verb, "start" | "stop" | "status") {
            return Err((404, format!("there is no {verb} of {fault}")));
        }
        self.not_too_often(format!("{fault}/{verb}"))?;

        match fault {
            "network-blackhole-port" => hole(faults, verb, parsed(body)?),
            "network-latency" => trouble(faults, verb, false, || latency(parsed(body)?)),
            "network-packet-loss" => trouble(faults, verb, true, || loss(parsed(body)?)),
            _ => Err((404, format!("there is no fault {fault}"))),
        }
    }

    fn not_too_often(&self, what: String) -> Result<(), (u16, String)> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match asked.get(&what) {
            Some(last) if now.duration_since(*last) < BETWEEN => {
                Err((429, format!("{what}: one request in 5 s is allowed")))
            }
            _ => {
                // A request that is refused for its body has been one too. The paths are few.
                asked.insert(what, now);
                asked.retain(|_, last| now.duration_since(*last) < BETWEEN);
                Ok(())
            }
        }
    }
}

fn hole(faults: &Faults, verb: &str, asked: Hole) -> Told {
    if asked.port == 0 {
        return Err((400, "Port must be 1 to 65535".to_owned()));
    }
    if asked.protocol == Protocol::Udp {
        return Err((
            400,
            "only tcp leads in and out of a task that runs here".to_owned(),
        ));
    }

    let traffic = match asked.traffic_type {
        Direction::Ingress => Traffic::Ingress,
        Direction::Egress => Traffic::Egress,
    };

    let except = networks(&asked.sources_to_filter)?;
    match verb {
        "start"
            if faults.start_hole(BlackHole {
                traffic,
                port: asked.port,
                except,
            }) =>
        {
            Ok("running")
        }
        "start" => Err((
            409,
            format!("there is already a black hole at port {}", asked.port),
        )),
        "stop" => {
            faults.stop_hole(traffic, asked.port);
            Ok("stopped")
        }
        _ if faults.has_hole(traffic, asked.port) => Ok("running"),
        _ => Ok("not-running"),
    }
}

fn trouble(
    faults: &Faults,
    verb: &str,
    loss: bool,
    asked: impl FnOnce() -> Result<Trouble, (u16, String)>,
) -> Told {
    match verb {
        "start" => {
            if faults.start_trouble(asked()?) {
                return Ok("running");
            }
            Err((
                409,
                "there is already a network latency or packet loss fault running".to_owned(),
            ))
        }
        "stop" => {
            faults.stop_trouble(loss);
            Ok("stopped")
        }
        _ if faults.has_trouble(loss) => Ok("running"),
        _ => Ok("not-running"),
    }
}

fn latency(asked: Latency) -> Result<Trouble, (u16, String)> {
    let (delay, jitter) = (asked.delay_milliseconds, asked.jitter_milliseconds);
    if delay == 0 && jitter == 0 {
        return Err((
            400,
            "DelayMilliseconds and JitterMilliseconds are both 0".to_owned(),
        ));
    }

    if jitter > delay {
        return Err((
            400,
            "JitterMilliseconds is more than DelayMilliseconds".to_owned(),
        ));
    }

    let (delay, jitter) = (Duration::from_millis(delay), Duration::from_millis(jitter));
    let what = What::Latency { delay, jitter };
    of(
        what,
        &asked.sources,
        &asked.sources_to_filter,
        asked.flows_percent,
    )
}

fn loss(asked: Loss) -> Result<Trouble, (u16, String)> {
    if !(1..=100).contains(&asked.loss_percent) {
        return Err((400, "LossPercent must be 1 to 100".to_owned()));
    }
    let what = What::Loss(asked.loss_percent);
    of(
        what,
        &asked.sources,
        &asked.sources_to_filter,
        asked.flows_percent,
    )
}

fn of(
    what: What,
    to: &[String],
    except: &[String],
    flows: Option<u8>,
) -> Result<Trouble, (u16, String)> {
    let flows = flows.unwrap_or(100);
    if !(1..=100).contains(&flows) {
        return Err((400, "FlowsPercent must be 1 to 100".to_owned()));
    }

    if to.is_empty() {
        return Err((400, "Sources names no address".to_owned()));
    }
    Ok(Trouble {
        what,
        flows,
        to: networks(to)?,
        except: networks(except)?,
    })
}

fn networks(all: &[String]) -> Result<Vec<Network>, (u16, String)> {
    all.iter()
        .map(|text| text.parse().map_err(|why| (400, why)))
        .collect()
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, (u16, String)> {
    let value: Result<Value, _> = serde_json::from_slice(body);
    let parsed = value.and_then(serde_json::from_value);
    parsed.map_err(|why| (400, format!("the body cannot be used: {why}")))
}

const BETWEEN: Duration = Duration::from_secs(5);
