//! The NAT gateways that the default routes lead to.

use std::collections::BTreeSet;

use super::check::CheckOutcome;
use super::network::Network;
use super::paths::{Exit, exit_of, table_of};
use super::{items, text};

/// Returns the NAT gateways that the default routes lead to.
pub(super) fn used_gateways(network: &Network) -> BTreeSet<String> {
    let subnets = items(network.subnets.value()).map(|subnet| text(subnet, "subnetId"));
    let exits = subnets.filter_map(|id| Some(exit_of(table_of(network.tables.value(), id)?)));
    let gateways = exits.filter_map(|exit| match exit {
        Exit::Nat(gateway) => Some(gateway),
        _ => None,
    });
    gateways.collect()
}

/// Checks that a NAT gateway reaches the internet.
pub(super) fn check(network: &Network, id: &str) -> CheckOutcome {
    if let Some(unknown) = network.gateways.unknown() {
        return unknown.into();
    }

    let found = items(network.gateways.value()).find(|gateway| gateway["natGatewayId"] == id);
    let Some(gateway) = found else {
        return CheckOutcome::fail(
            format!("there is no {id}"),
            "create a NAT gateway, and replace the default route",
        );
    };

    // pending, failed, available, deleting, deleted
    let state = text(gateway, "state");
    if state != "available" {
        return CheckOutcome::fail(
            format!("its state is {state}: {}", text(gateway, "failureMessage")),
            "wait until it is available, or replace it",
        );
    }

    if gateway["connectivityType"] == "private" {
        return CheckOutcome::fail(
            "it is a private NAT gateway, which reaches no public address",
            "create a public NAT gateway, with an Elastic IP address",
        );
    }

    let subnet = text(gateway, "subnetId");
    match table_of(network.tables.value(), subnet).map(exit_of) {
        // The table of a subnet without its own association is the main one, which is always returned.
        None | Some(Exit::InternetGateway | Exit::Other(_)) => CheckOutcome::ok(subnet),
        Some(_) => CheckOutcome::fail(
            format!("its subnet {subnet} has no route to an internet gateway"),
            "create the NAT gateway in a public subnet",
        ),
    }
}
