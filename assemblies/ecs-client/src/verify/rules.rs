//! Rules of security groups: whether a group lets a connection pass.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::{items, text};

/// The other side of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Peer<'p> {
    /// Its security groups.
    pub(super) groups: Vec<&'p str>,
    /// Its addresses.
    pub(super) blocks: Vec<&'p str>,
}

/// The direction of a rule, seen from the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

/// Returns a group of DescribeSecurityGroups.
pub(super) fn group<'g>(groups: &'g Value, id: &str) -> Option<&'g Value> {
    items(groups).find(|group| group["groupId"] == id)
}

/// Returns whether one of the groups lets TCP to a port pass. A prefix list is taken for one that has the peer, since
/// its addresses are not read.
pub(super) fn permits(groups: &[&Value], direction: Direction, port: u16, peer: &Peer) -> bool {
    let list = match direction {
        Direction::Ingress => "ipPermissions",
        Direction::Egress => "ipPermissionsEgress",
    };

    groups
        .iter()
        .flat_map(|group| items(&group[list]))
        .filter(|rule| has_port(rule, port))
        .any(|rule| {
            // A rule with a group lets all network interfaces of the group pass.
            let has_group =
                items(&rule["groups"]).any(|entry| peer.groups.contains(&text(entry, "groupId")));
            let has_block = items(&rule["ipRanges"]).any(|entry| {
                let outer = text(entry, "cidrIp");
                peer.blocks.iter().any(|inner| contains(outer, inner))
            });
            has_group || has_block || items(&rule["prefixListIds"]).next().is_some()
        })
}

/// Returns whether a rule is for TCP to a port.
pub(super) fn has_port(rule: &Value, port: u16) -> bool {
    match text(rule, "ipProtocol") {
        "-1" => true,
        "tcp" | "6" => {
            let bound = |name: &str| text(rule, name).parse::<u16>().ok();
            bound("fromPort").is_none_or(|from| from <= port)
                && bound("toPort").is_none_or(|to| port <= to)
        }
        _ => false,
    }
}

/// Returns whether a block of addresses contains another one.
pub(super) fn contains(outer: &str, inner: &str) -> bool {
    let parse = |text: &str| {
        let (address, length) = text.split_once('/')?;
        let length: u32 = length.parse().ok()?;
        (length <= 32).then_some(())?;
        Some((u32::from(address.parse::<Ipv4Addr>().ok()?), length))
    };
    let (Some((outer, length)), Some((inner, inner_length))) = (parse(outer), parse(inner)) else {
        return false;
    };
    // A shift by all 32 bits would be an overflow.
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    length <= inner_length && outer & mask == inner & mask
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Direction, Peer, contains, permits};

    #[test]
    fn blocks_contain_smaller_blocks() {
        for (outer, inner, expected) in [
            ("0.0.0.0/0", "10.0.0.0/8", true),
            ("10.0.0.0/8", "10.1.2.0/24", true),
            ("10.1.2.0/24", "10.0.0.0/8", false),
            ("10.1.0.0/16", "10.2.0.0/24", false),
            ("10.1.0.0/33", "10.1.0.0/16", false),
            ("::/0", "10.0.0.0/8", false),
        ] {
            assert_eq!(contains(outer, inner), expected, "{outer} {inner}");
        }
    }

    #[test]
    fn rules_are_for_ports_and_peers() {
        let rule = json!({ "ipProtocol": "tcp", "fromPort": "443", "toPort": "443",
            "groups": [{ "groupId": "sg-1" }], "ipRanges": [{ "cidrIp": "10.0.0.0/8" }] });
        let group = json!({ "ipPermissions": [rule] });
        let passes = |port, groups: &[&'static str], blocks: &[&'static str]| {
            let peer = Peer {
                groups: groups.to_vec(),
                blocks: blocks.to_vec(),
            };
            permits(&[&group], Direction::Ingress, port, &peer)
        };
        assert!(passes(443, &["sg-1"], &[]));
        assert!(passes(443, &[], &["10.3.0.0/16"]));
        assert!(!passes(443, &["sg-2"], &["192.168.0.0/16"]));
        assert!(!passes(8443, &["sg-1"], &[]));
    }
}
