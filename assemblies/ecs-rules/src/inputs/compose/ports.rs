//! Converts `ports` and `expose` to port mappings.

use diagnostics::source::{Node, NodeValue, Span};
use task_definition::WRONG_TYPE;

use crate::inputs::derived::Notes;
use crate::inputs::derived::fields::{integer, scalar_text};
use crate::inputs::derived::record::{Record, number, some_list, text};

/// Returns the port mappings of a service.
pub(super) fn convert(service: &Node, notes: &mut Notes<'_>) -> Option<Node> {
    let mut mappings = Vec::new();
    let mut known = Vec::new();
    let ports = service.get("ports").map_or(&[][..], Node::items);
    for port in ports {
        let mapping = match &port.value {
            NodeValue::Map(_) => long(port, notes),
            _ => short(port, notes),
        };
        if let Some((mapping, target)) = mapping {
            known.push(target);
            mappings.push(mapping);
        }
    }

    // An exposed port is not published, and programs beside it reach it all the same.
    let exposed = service.get("expose").map_or(&[][..], Node::items);
    for port in exposed {
        if let Some((mapping, target)) = short(port, notes)
            && !known.contains(&target)
        {
            known.push(target);
            mappings.push(mapping);
        }
    }

    let span = service.get("ports").or(service.get("expose"))?.span;
    some_list(mappings, span)
}

/// A mapping, and its container port with the protocol.
type Mapping = (Node, (String, String));

/// Reads `[IP:][HOST:]CONTAINER[/PROTOCOL]`.
fn short(port: &Node, notes: &mut Notes<'_>) -> Option<Mapping> {
    let written = notes.read_scalar(port).unwrap_or_default();
    let Some(known) = notes.known_text(port) else {
        if notes.is_unknown(port) {
            let record = Record::new(port.span).with("containerPort", text(&written, port.span));
            return Some((record.into_node(), (written, String::new())));
        }
        report_port(port.span, port.kind(), notes);
        return None;
    };

    let (address, protocol) = match known.rsplit_once('/') {
        Some((address, protocol)) => (address, Some(protocol)),
        None => (known.as_str(), None),
    };
    // The colons of an IPv6 address are in brackets.
    let after_ip = address.rsplit_once(']').map_or(address, |(_, rest)| rest);
    // The container port is last; the rest is about the host.
    let mut parts = after_ip.rsplit(':');
    let target = parts.next().unwrap_or_default();
    let published = parts.next().unwrap_or_default();
    let Some(range) = Range::parse(target) else {
        report_port(port.span, &format!("`{known}`"), notes);
        return None;
    };

    report_published(published, target, port.span, notes);

    let mut record = range.to_record(port.span);
    record.add_some("protocol", protocol.map(|word| text(word, port.span)));
    let key = (target.to_owned(), protocol.unwrap_or("tcp").to_owned());
    Some((record.into_node(), key))
}

/// Reads the form with `target`, `published` and `protocol`.
fn long(port: &Node, notes: &mut Notes<'_>) -> Option<Mapping> {
    let target = port.get("target")?;
    let mut record = Record::new(port.span);
    record.add("containerPort", integer(target, notes));
    for (field, name) in [("protocol", "protocol"), ("name", "name")] {
        let value = port.get(field).and_then(|value| scalar_text(value, notes));
        record.add_some(name, value);
    }

    // ECS API, PortMapping, field appProtocol.
    if let Some(protocol) = port.get("app_protocol") {
        let word = notes.known_text(protocol).unwrap_or_default();
        if ["http", "http2", "grpc"].contains(&word.as_str()) {
            record.add("appProtocol", text(word, protocol.span));
        } else {
            let message =
                format!("the app_protocol `{word}` is not evaluated: ECS has http, http2 and grpc");
            notes.add(protocol.span, message);
        }
    }

    let written = notes.known_text(target).unwrap_or_default();
    if let Some(published) = port.get("published") {
        let published_text = notes.known_text(published).unwrap_or_default();
        report_published(&published_text, &written, published.span, notes);
    }
    let protocol = port.get("protocol").and_then(|word| notes.known_text(word));
    let key = (written, protocol.unwrap_or_else(|| "tcp".to_owned()));
    Some((record.into_node(), key))
}

fn report_published(published: &str, target: &str, span: Span, notes: &mut Notes<'_>) {
    if published.is_empty() || published == target {
        return;
    }
    let message = format!(
        "the published port {published} is not evaluated: a task on Fargate is reached on its port {target}, and a load \
         balancer in front of it has ports of its own"
    );
    notes.add(span, message);
}

fn report_port(span: Span, what: &str, notes: &mut Notes<'_>) {
    let message = format!("{what} is not a port of Compose");
    let hint =
        "write `CONTAINER`, `HOST:CONTAINER` or `IP:HOST:CONTAINER`, each with `/udp` if needed";
    notes.error(WRONG_TYPE, span, message, hint);
}

/// A port, or a range of ports.
struct Range(u32, u32);

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        match text.split_once('-') {
            Some((first, last)) => Some(Self(number(first)?, number(last)?)),
            None => number(text).map(|port| Self(port, port)),
        }
    }

    fn to_record(&self, span: Span) -> Record {
        let Self(first, last) = self;
        let record = Record::new(span);
        if first == last {
            record.with("containerPort", number(u64::from(*first), span))
        } else {
            record.with("containerPortRange", text(format!("{first}-{last}"), span))
        }
    }
}
