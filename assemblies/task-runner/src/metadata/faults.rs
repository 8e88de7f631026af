//! The fault injection endpoints: a task injects faults into its own network.
//!
//! Source: ECS developer guide, "Amazon ECS fault injection endpoints". The requests and responses are those of the
//! ECS agent, which AWS FIS uses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::server::JsonResponse;
use super::view::TaskView;
use crate::sandbox::{BlackholeRule, Cidr, Impairment, ImpairmentKind, NetworkFaults, Traffic};

/// The fault injection endpoints of a task.
#[derive(Debug)]
pub(super) struct FaultInjection {
    faults: Option<Arc<NetworkFaults>>,
    /// The time of the last request, by fault and verb.
    last_requests: Mutex<BTreeMap<String, Instant>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct BlackholeRequest {
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
struct LatencyRequest {
    delay_milliseconds: u64,
    jitter_milliseconds: u64,
    sources: Vec<String>,
    #[serde(default)]
    sources_to_filter: Vec<String>,
    flows_percent: Option<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct PacketLossRequest {
    loss_percent: u8,
    sources: Vec<String>,
    #[serde(default)]
    sources_to_filter: Vec<String>,
    flows_percent: Option<u8>,
}

/// A fault status of the agent, or an HTTP status with an error message.
type FaultResult = Result<&'static str, (u16, String)>;

impl FaultInjection {
    /// Creates the endpoints for the faults of the task's network, if it has its own.
    pub(super) fn new(faults: Option<Arc<NetworkFaults>>) -> Self {
        Self {
            faults,
            last_requests: Mutex::default(),
        }
    }

    /// Handles a request for `fault/verb`.
    pub(super) fn respond(
        &self,
        view: &TaskView,
        fault: &str,
        verb: &str,
        body: &[u8],
    ) -> JsonResponse {
        match self.handle(view, fault, verb, body) {
            Ok(status) => (200, json!({ "Status": status })),
            Err((status, error)) => (status, json!({ "Error": error })),
        }
    }

    fn handle(&self, view: &TaskView, fault: &str, verb: &str, body: &[u8]) -> FaultResult {
        if !view.fault_injection {
            let arn = view.arn();
            return Err((
                400,
                format!("enableFaultInjection is not enabled for task: {arn}"),
            ));
        }

        let Some(faults) = &self.faults else {
            let error =
                "the task shares the network of this host, into which no faults are injected";
            return Err((400, error.to_owned()));
        };

        if !matches!(verb, "start" | "stop" | "status") {
            return Err((404, format!("{fault} has no operation {verb}")));
        }
        // Before the body is parsed: the agent counts invalid requests, too.
        self.check_rate(format!("{fault}/{verb}"))?;

        match fault {
            "network-blackhole-port" => blackhole(faults, verb, parse_body(body)?),
            "network-latency" => impairment(faults, verb, false, || latency(parse_body(body)?)),
            "network-packet-loss" => {
                impairment(faults, verb, true, || packet_loss(parse_body(body)?))
            }
            _ => Err((404, format!("there is no fault {fault}"))),
        }
    }

    fn check_rate(&self, operation: String) -> Result<(), (u16, String)> {
        let mut last_requests = self
            .last_requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match last_requests.get(&operation) {
            Some(last) if now.duration_since(*last) < MIN_REQUEST_INTERVAL => Err((
                429,
                format!("{operation}: only one request per 5 s is allowed"),
            )),
            _ => {
                last_requests.insert(operation, now);
                // Bounds the map: fault names come from the request.
                last_requests.retain(|_, last| now.duration_since(*last) < MIN_REQUEST_INTERVAL);
                Ok(())
            }
        }
    }
}

fn blackhole(faults: &NetworkFaults, verb: &str, request: BlackholeRequest) -> FaultResult {
    if request.port == 0 {
        return Err((400, "Port must be 1 to 65535".to_owned()));
    }
    // The runner forwards TCP connections only: no datagram crosses the boundary of a local task.
    if request.protocol == Protocol::Udp {
        return Err((
            400,
            "only tcp is forwarded into and out of a local task".to_owned(),
        ));
    }

    let traffic = match request.traffic_type {
        Direction::Ingress => Traffic::Ingress,
        Direction::Egress => Traffic::Egress,
    };

    let except = parse_cidrs(&request.sources_to_filter)?;
    match verb {
        "start"
            if faults.start_blackhole(BlackholeRule {
                traffic,
                port: request.port,
                except,
            }) =>
        {
            Ok("running")
        }
        "start" => Err((
            409,
            format!("port {} already has a blackhole", request.port),
        )),
        "stop" => {
            faults.stop_blackhole(traffic, request.port);
            Ok("stopped")
        }
        _ if faults.has_blackhole(traffic, request.port) => Ok("running"),
        _ => Ok("not-running"),
    }
}

/// Handles latency, or packet loss if `loss`. Both share one slot: the agent runs one of them at a time.
fn impairment(
    faults: &NetworkFaults,
    verb: &str,
    loss: bool,
    parse: impl FnOnce() -> Result<Impairment, (u16, String)>,
) -> FaultResult {
    match verb {
        "start" => {
            if faults.start_impairment(parse()?) {
                return Ok("running");
            }
            Err((
                409,
                "there is already a network latency or packet loss fault running".to_owned(),
            ))
        }
        "stop" => {
            faults.stop_impairment(loss);
            Ok("stopped")
        }
        _ if faults.has_impairment(loss) => Ok("running"),
        _ => Ok("not-running"),
    }
}

fn latency(request: LatencyRequest) -> Result<Impairment, (u16, String)> {
    let (delay, jitter) = (request.delay_milliseconds, request.jitter_milliseconds);
    if delay == 0 && jitter == 0 {
        return Err((
            400,
            "DelayMilliseconds and JitterMilliseconds are both 0".to_owned(),
        ));
    }

    // More jitter than delay would mean a negative delay.
    if jitter > delay {
        return Err((
            400,
            "JitterMilliseconds must not exceed DelayMilliseconds".to_owned(),
        ));
    }

    let (delay, jitter) = (Duration::from_millis(delay), Duration::from_millis(jitter));
    let kind = ImpairmentKind::Latency { delay, jitter };
    new_impairment(
        kind,
        &request.sources,
        &request.sources_to_filter,
        request.flows_percent,
    )
}

fn packet_loss(request: PacketLossRequest) -> Result<Impairment, (u16, String)> {
    if !(1..=100).contains(&request.loss_percent) {
        return Err((400, "LossPercent must be 1 to 100".to_owned()));
    }
    let kind = ImpairmentKind::Loss(request.loss_percent);
    new_impairment(
        kind,
        &request.sources,
        &request.sources_to_filter,
        request.flows_percent,
    )
}

fn new_impairment(
    kind: ImpairmentKind,
    to: &[String],
    except: &[String],
    flows: Option<u8>,
) -> Result<Impairment, (u16, String)> {
    // Without FlowsPercent, all connections are affected.
    let flows = flows.unwrap_or(100);
    if !(1..=100).contains(&flows) {
        return Err((400, "FlowsPercent must be 1 to 100".to_owned()));
    }

    if to.is_empty() {
        return Err((400, "Sources must name at least one address".to_owned()));
    }
    Ok(Impairment {
        kind,
        flows,
        to: parse_cidrs(to)?,
        except: parse_cidrs(except)?,
    })
}

fn parse_cidrs(texts: &[String]) -> Result<Vec<Cidr>, (u16, String)> {
    texts
        .iter()
        .map(|text| text.parse().map_err(|error| (400, error)))
        .collect()
}

fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, (u16, String)> {
    // In two steps, so that the message names the field and not a position in the text.
    let value: Result<Value, _> = serde_json::from_slice(body);
    let body = value.and_then(serde_json::from_value);
    body.map_err(|error| (400, format!("invalid body: {error}")))
}

/// The agent allows one request per fault and operation in 5 s.
const MIN_REQUEST_INTERVAL: Duration = Duration::from_secs(5);
