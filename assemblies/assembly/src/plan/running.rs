//! Checks how tasks are started and scaled against the wiring: load balancer, trigger, overrides.

use std::time::Duration;

use diagnostics::Finding;

use crate::component::SettingFormat;
use crate::manifest::{LoadBalancer, Manifest, OnDemand, OnFailure, Service};
use crate::resolve::{AssemblyMember, Role};
use crate::rules;
use crate::trigger;
use crate::trigger::event::MAX_OVERRIDES_CHARS;
use crate::wire::Wiring;

/// Returns the load balancer that the manifest names, or else the one that suits the public interface.
pub(super) fn load_balancer(wiring: &Wiring) -> LoadBalancer {
    let (Some(service), Some(public)) = (&wiring.assembly.manifest.file().service, &wiring.public)
    else {
        return LoadBalancer::None;
    };

    // Request counts per target exist for Application Load Balancers only. TLS passes through a Network
    // Load Balancer, so that it ends in the task.
    let scales_on_requests = service
        .target
        .as_ref()
        .is_some_and(|target| target.requests_per_task.is_some());
    let default = if scales_on_requests || public.interface == "http" {
        LoadBalancer::Application
    } else {
        LoadBalancer::Network
    };

    service.load_balancer.unwrap_or(default)
}

/// Returns the findings about how tasks of this assembly are run.
pub(super) fn check(wiring: &Wiring) -> Vec<Finding> {
    let manifest = &wiring.assembly.manifest;
    let file = manifest.file();
    let mut findings = Vec::new();
    // Resolution has checked that exactly one of the two sections is present.
    if let Some(service) = &file.service {
        check_load_balancer(wiring, service, &mut findings);
        findings.extend(check_idle_timeout(wiring));
    }
    if let Some(on_demand) = &file.on_demand {
        findings.extend(check_trigger(wiring, manifest, on_demand));
    }
    findings
}

fn check_load_balancer(wiring: &Wiring, service: &Service, findings: &mut Vec<Finding>) {
    let manifest = &wiring.assembly.manifest;
    let balancer = load_balancer(wiring);
    let requests_per_task = service
        .target
        .as_ref()
        .and_then(|target| target.requests_per_task);

    if requests_per_task.is_some() && balancer != LoadBalancer::Application {
        let location = manifest.location("/service/target/requests_per_task");
        findings.push(rules::m37_unsupported_load_balancer::no_request_metric(
            location,
        ));
    }

    let wants_balancer = service
        .load_balancer
        .is_some_and(|balancer| balancer != LoadBalancer::None);
    // Without a public port there is no target for the load balancer.
    if wants_balancer && wiring.public.is_none() {
        let location = manifest.location("/service/load_balancer");
        findings.push(rules::m37_unsupported_load_balancer::no_port(
            location,
            &manifest.file().app,
        ));
    }
}

/// Reports an outermost hop that closes idle connections while an Application Load Balancer still uses them.
fn check_idle_timeout(wiring: &Wiring) -> Option<Finding> {
    let public = wiring.public.as_ref()?;
    if load_balancer(wiring) != LoadBalancer::Application {
        return None;
    }

    let member = wiring.assembly.members.get(public.member)?;
    let file = member.component.file();
    let (text, location) = if let Some(setting) = member.settings.get(IDLE_TIMEOUT) {
        (setting.text.clone(), setting.location.clone())
    } else {
        let default = file.settings.get(IDLE_TIMEOUT)?.default.as_ref()?;
        (default.as_str()?.to_owned(), member.location.clone())
    };

    let timeout = SettingFormat::parse_duration(&text)?;
    (timeout <= BALANCER_IDLE_TIMEOUT).then(|| {
        rules::m49_short_idle_timeout::short_idle_timeout(location, &member.container, &text)
    })
}

fn check_trigger(wiring: &Wiring, manifest: &Manifest, on_demand: &OnDemand) -> Vec<Finding> {
    let mut findings = Vec::new();
    if on_demand.on_failure == OnFailure::Ignore {
        findings.push(rules::m41_unreported_failure::unreported_failure(
            manifest.location("/on_demand/on_failure"),
        ));
    }

    let variables = trigger::variables(&wiring.assembly);
    for text in variables.iter().map(|variable| &variable.text) {
        if let Some(key) = triggering_key(on_demand, text) {
            let location = manifest.location("/on_demand/output_bucket");
            findings.push(rules::m40_trigger_loop::trigger_loop(
                location,
                &on_demand.bucket,
                &key,
            ));
        }
    }

    let app = wiring
        .assembly
        .members
        .iter()
        .find(|member| member.role() == Role::App)
        .map_or("", AssemblyMember::name);
    // An object's key has up to 1,024 bytes, so the worst case decides.
    let longest = trigger::max_overrides_chars(app, &variables);

    if longest > MAX_OVERRIDES_CHARS {
        let location = manifest.location("/app");
        findings.push(rules::m43_overrides_too_long::too_long_message(
            location,
            app,
            longest,
            MAX_OVERRIDES_CHARS,
        ));
    }

    findings
}

/// Returns the key of a result that would start a task in turn: a variable names it, it is in the bucket
/// that triggers tasks, and it matches the prefix and suffix.
fn triggering_key(on_demand: &OnDemand, text: &str) -> Option<String> {
    let trigger_bucket = format!("s3://{}/", on_demand.bucket);
    let (prefix, suffix) = (on_demand.prefix.as_deref(), on_demand.suffix.as_deref());
    // Results are usually named after the input, so an example key is put through the same template.
    let example = format!(
        "{}EXAMPLE{}",
        prefix.unwrap_or_default(),
        suffix.unwrap_or_default()
    );
    let key = text
        .strip_prefix(&trigger_bucket)?
        .replace("{key}", &example);
    let matches =
        key.starts_with(prefix.unwrap_or_default()) && key.ends_with(suffix.unwrap_or_default());

    matches.then_some(key)
}

/// The setting of the components for how long a connection stays open between requests.
const IDLE_TIMEOUT: &str = "limits.idle_timeout";
/// The idle timeout of an Application Load Balancer, unless it is changed (`idle_timeout.timeout_seconds`).
const BALANCER_IDLE_TIMEOUT: Duration = Duration::from_mins(1);
