//! Tests the forwarder between senders on one side and a scripted backend on the other.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod enrichment;
mod receiving_grpc;
mod receiving_http;
mod sdk;
mod sending;
mod stopping;
mod support;
