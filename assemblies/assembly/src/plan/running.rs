//! How tasks are run, held against what the plan has decided.

use task_definition::Finding;

use crate::manifest::{LoadBalancer, Manifest, OnDemand, OnFailure, Service};
use crate::resolve::{AssemblyMember, Role};
use crate::rules;
use crate::trigger;
use crate::trigger::event::MAX_OVERRIDES_CHARS;
use crate::wire::Wiring;

/// What stands between the clients and the tasks: what the manifest says, or else what fits.
pub(super) fn load_balancer(wiring: &Wiring) -> LoadBalancer {
    let (Some(service), Some(public)) = (&wiring.assembly.manifest.file().service, &wiring.public)
    else {
        return LoadBalancer::None;
    };

    let counts = service
        .target
        .as_ref()
        .is_some_and(|one| one.requests_per_task.is_some());
    let fitting = if counts || public.interface == "http" {
        LoadBalancer::Application
    } else {
        LoadBalancer::Network
    };

    service.load_balancer.unwrap_or(fitting)
}

/// What does not go together, and what will be missed.
pub(super) fn judge(wiring: &Wiring) -> Vec<Finding> {
    let manifest = &wiring.assembly.manifest;
    let file = manifest.file();
    let mut findings = Vec::new();
    if let Some(service) = &file.service {
        balanced(wiring, service, &mut findings);
    }
    if let Some(on_demand) = &file.on_demand {
        findings.extend(started(wiring, manifest, on_demand));
    }
    findings
}

fn balanced(wiring: &Wiring, service: &Service, findings: &mut Vec<Finding>) {
    let manifest = &wiring.assembly.manifest;
    let balancer = load_balancer(wiring);
    let counted = service
        .target
        .as_ref()
        .and_then(|one| one.requests_per_task);

    if counted.is_some() && balancer != LoadBalancer::Application {
        let place = manifest.place("/service/target/requests_per_task");
        findings.push(rules::m37_unsupported_load_balancer::no_request_metric(
            place,
        ));
    }

    let asked = service
        .load_balancer
        .is_some_and(|one| one != LoadBalancer::None);
    if asked && wiring.public.is_none() {
        let place = manifest.place("/service/load_balancer");
        findings.push(rules::m37_unsupported_load_balancer::no_port(
            place,
            &manifest.file().app,
        ));
    }
}

fn started(wiring: &Wiring, manifest: &Manifest, on_demand: &OnDemand) -> Vec<Finding> {
    let mut findings = Vec::new();
    if on_demand.on_failure == OnFailure::Ignore {
        findings.push(rules::m41_unreported_failure::unreported_failure(
            manifest.place("/on_demand/on_failure"),
        ));
    }

    let variables = trigger::variables(&wiring.assembly);
    for text in variables.iter().map(|one| &one.text) {
        if let Some(key) = lands_again(on_demand, text) {
            let place = manifest.place("/on_demand/output_bucket");
            findings.push(rules::m40_trigger_loop::trigger_loop(
                place,
                &on_demand.bucket,
                &key,
            ));
        }
    }

    let members = wiring.assembly.members.iter();
    let mut apps = members.filter(|member| member.role() == Role::App);
    let app = apps.next().map_or("", AssemblyMember::name);
    let longest = trigger::longest(app, &variables);

    if longest > MAX_OVERRIDES_CHARS {
        let place = manifest.place("/app");
        findings.push(rules::m43_overrides_too_long::too_long(
            place,
            app,
            longest,
            MAX_OVERRIDES_CHARS,
        ));
    }

    findings
}

/// The key of a result that would start a task itself: one that a variable names, in the bucket that is watched,
/// with the ends that are watched for.
fn lands_again(on_demand: &OnDemand, text: &str) -> Option<String> {
    let watched = format!("s3://{}/", on_demand.bucket);
    let (prefix, suffix) = (on_demand.prefix.as_deref(), on_demand.suffix.as_deref());
    let example = format!(
        "{}EXAMPLE{}",
        prefix.unwrap_or_default(),
        suffix.unwrap_or_default()
    );
    let key = text.strip_prefix(&watched)?.replace("{key}", &example);
    let lands =
        key.starts_with(prefix.unwrap_or_default()) && key.ends_with(suffix.unwrap_or_default());

    lands.then_some(key)
}
