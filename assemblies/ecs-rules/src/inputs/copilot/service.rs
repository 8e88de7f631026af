//! Converts counts, load balancers and deployments of a manifest to an ECS service.

use diagnostics::source::{Node, NodeValue, Span};
use task_definition::WRONG_TYPE;

use super::{Workload, integer_at, name, name_span};
use crate::inputs::derived::Notes;
use crate::inputs::derived::fields::{flag, integer};
use crate::inputs::derived::record::{Record, boolean, list, number, some_list, text, unknown};

/// A container and a port that a load balancer sends requests to.
pub(super) struct Target {
    pub(super) container: String,
    pub(super) port: Node,
    span: Span,
}

/// Returns the service that Copilot creates.
pub(super) fn convert(manifest: &Node, workload: Workload, notes: &mut Notes<'_>) -> Node {
    let span = name_span(manifest);
    let name = name(manifest, notes);
    let mut record = Record::new(span);
    record.add("serviceName", name.clone());
    record.add("taskDefinition", name);
    add_count(manifest, &mut record, notes);
    if !record.has("capacityProviderStrategy") {
        record.add("launchType", text("FARGATE", span));
    }

    record.add("deploymentConfiguration", deployment(manifest, span, notes));
    record.add_some(
        "enableExecuteCommand",
        manifest.get("exec").and_then(|node| flag(node, notes)),
    );
    let targets = targets(manifest, workload, notes);
    if !targets.is_empty() {
        let grace = manifest.at("/http/healthcheck/grace_period");
        let grace = grace.and_then(|node| crate::inputs::derived::fields::duration(node, notes));
        record.add(
            "healthCheckGracePeriodSeconds",
            grace.unwrap_or_else(|| number(60, span)),
        );
    }
    let balancers = targets.into_iter().map(|target| {
        Record::new(target.span)
            .with("targetGroupArn", unknown("TargetGroup", target.span))
            .with("containerName", text(target.container, target.span))
            .with("containerPort", integer(&target.port, notes))
            .into_node()
    });
    record.add_some("loadBalancers", some_list(balancers.collect(), span));
    record.into_node()
}

/// Adds the desired count, and the capacity providers of a count with Spot.
fn add_count(manifest: &Node, record: &mut Record, notes: &mut Notes<'_>) {
    let span = name_span(manifest);
    let Some(count) = manifest.get("count") else {
        return record.add("desiredCount", number(1, span));
    };
    if !matches!(count.value, NodeValue::Map(_)) {
        return record.add("desiredCount", integer(count, notes));
    }

    if let Some(spot) = integer_at(count, "/spot", notes) {
        record.add("desiredCount", spot.clone());
        let only = Record::new(spot.span)
            .with("capacityProvider", text("FARGATE_SPOT", spot.span))
            .with("weight", number(1, spot.span));
        return record.add(
            "capacityProviderStrategy",
            list(vec![only.into_node()], spot.span),
        );
    }

    // Without a range the count of the running service stays.
    let Some(range) = count.get("range") else {
        return;
    };
    if let Some(least) = range_minimum(range, notes) {
        record.add("desiredCount", number(least, range.span));
    }
    if let Some(from) = range.get("spot_from") {
        record.add("capacityProviderStrategy", spot_from(from, notes));
    }
    let message = "the count is evaluated as its minimum; the scaling policies are not evaluated";
    notes.add(count.span, message);
}

/// Returns the minimum of `1-10` or `{ min: 1, max: 10 }`.
fn range_minimum(range: &Node, notes: &mut Notes<'_>) -> Option<u64> {
    if notes.is_unknown(range) {
        return None;
    }
    let (least, most) = if matches!(range.value, NodeValue::Map(_)) {
        let limit = |name: &str| range.get(name).and_then(|node| notes.known_text(node));
        (limit("min")?, limit("max")?)
    } else {
        let known = notes.known_text(range).unwrap_or_default();
        let (least, most) = known.split_once('-').unwrap_or((&known, ""));
        (least.to_owned(), most.to_owned())
    };

    let parse = |text: &str| text.trim().parse::<u64>().ok();
    match (parse(&least), parse(&most)) {
        (Some(least), Some(most)) if least <= most => Some(least),
        (Some(least), Some(most)) => {
            let message =
                format!("the range of the count ends at {most}, before its beginning {least}");
            notes.error(
                WRONG_TYPE,
                range.span,
                message,
                "write the smaller number first",
            );
            None
        }
        _ => {
            let message = "the range of the count is not two numbers";
            notes.error(WRONG_TYPE, range.span, message, "write `range: 1-10`");
            None
        }
    }
}

/// Returns a strategy with the first tasks on demand and the others on Spot.
fn spot_from(from: &Node, notes: &Notes<'_>) -> Node {
    let span = from.span;
    let first = notes
        .known_text(from)
        .and_then(|text| text.parse::<u64>().ok());
    let base = first.map_or_else(
        || unknown("spot_from", span),
        |first| number(first.saturating_sub(1), span),
    );
    let spot = Record::new(span)
        .with("capacityProvider", text("FARGATE_SPOT", span))
        .with("weight", number(1, span));

    // A base without weight: the first tasks are on demand, all others on Spot.
    let on_demand = Record::new(span)
        .with("capacityProvider", text("FARGATE", span))
        .with("weight", number(0, span))
        .with("base", base);
    list(vec![spot.into_node(), on_demand.into_node()], span)
}

fn deployment(manifest: &Node, span: Span, notes: &Notes<'_>) -> Node {
    let rolling = manifest
        .at("/deployment/rolling")
        .and_then(|node| notes.known_text(node));
    let (least, most) = match rolling.as_deref() {
        Some("recreate") => (0, 100),
        _ => (100, 200),
    };
    let breaker = Record::new(span)
        .with("enable", boolean(true, span))
        .with("rollback", boolean(true, span));
    Record::new(span)
        .with("minimumHealthyPercent", number(least, span))
        .with("maximumPercent", number(most, span))
        .with("deploymentCircuitBreaker", breaker.into_node())
        .into_node()
}

/// Returns where the load balancers of a manifest send requests.
pub(super) fn targets(manifest: &Node, workload: Workload, notes: &Notes<'_>) -> Vec<Target> {
    let mut targets = Vec::new();
    if !matches!(workload, Workload::LoadBalanced | Workload::Backend) {
        return targets;
    }

    if let Some(http) = manifest
        .get("http")
        .filter(|http| matches!(http.value, NodeValue::Map(_)))
    {
        let more = http.get("additional_rules").map_or(&[][..], Node::items);
        for rule in std::iter::once(http).chain(more) {
            targets.extend(target(manifest, rule, None, notes));
        }
    }

    // The target port of a network listener is its own port by default.
    if let Some(nlb) = manifest.get("nlb") {
        let more = nlb.get("additional_listeners").map_or(&[][..], Node::items);
        for listener in std::iter::once(nlb).chain(more) {
            let own = listener.get("port").and_then(|port| {
                let known = notes.known_text(port)?;
                let number = known.split('/').next().unwrap_or_default();
                Some(text(number, port.span))
            });
            targets.extend(target(manifest, listener, own, notes));
        }
    }
    targets
}

/// Returns the target of a rule: `target_container` and `target_port`, or the main container and its port.
fn target(
    manifest: &Node,
    rule: &Node,
    listener: Option<Node>,
    notes: &Notes<'_>,
) -> Option<Target> {
    let sidecars = manifest.get("sidecars").map_or(&[][..], Node::entries);
    let port_of = |settings: &Node| {
        let port = settings.get("port")?;
        let written = notes.read_scalar(port)?;
        let number = written.split('/').next().unwrap_or_default();
        Some(text(number, port.span))
    };
    let named = rule
        .get("target_container")
        .or_else(|| rule.get("targetContainer"));
    let chosen = rule.get("target_port").cloned().or(listener);

    // A port of a sidecar names the sidecar.
    let sidecar_with_port = chosen.as_ref().and_then(|port| {
        let port = notes.known_text(port)?;
        sidecars.iter().find(|(_, settings)| {
            port_of(settings).and_then(|own| own.text().map(str::to_owned)) == Some(port.clone())
        })
    });
    let container = match (named, sidecar_with_port) {
        (Some(named), _) => notes.known_text(named)?,
        (None, Some((key, _))) => key.name.clone(),
        (None, None) => manifest
            .get("name")
            .and_then(|name| notes.read_scalar(name))?,
    };

    let own_port = match sidecars.iter().find(|(key, _)| key.name == container) {
        Some((_, settings)) => port_of(settings),
        None => manifest.at("/image/port").cloned(),
    };
    Some(Target {
        container,
        port: chosen.or(own_port)?,
        span: named.map_or(rule.span, |node| node.span),
    })
}
