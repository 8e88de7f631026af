//! How many calls `verify` makes, at the same time and one after the other.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use ecs_client::{AwsVerb, Offline, Recorder, places};

use crate::account::{Account, request};

#[tokio::test]
async fn calls_are_made_at_the_same_time() {
    let account = Account::new();
    let report = account.verify(&request()).await;

    let calls = account.calls.lock().unwrap().len();
    assert_eq!(report.calls(), calls);
    // Too few would be checks that are not made, too many a call for each subnet or container.
    assert!((30..60).contains(&calls), "{calls} calls");
    assert!(account.peak.load(Ordering::SeqCst) <= 16);
    // With 50 ms for a call, six in a row take 0.3 s.
    assert!(account.rounds() <= 6, "{} in a row", account.rounds());
}

#[tokio::test]
async fn the_permissions_are_those_of_the_calls() {
    let account = Account::new();
    account.verify(&request()).await;
    let calls = account.calls.lock().unwrap();
    let mut called: BTreeSet<_> = calls.iter().map(|call| call.operation.action()).collect();
    // GetCallerIdentity needs no permission; DescribeServices is called with `--service`.
    called.remove("sts:GetCallerIdentity");
    called.insert("ecs:DescribeServices".to_owned());

    let permissions = AwsVerb::Verify.permissions();
    let table: BTreeSet<_> = permissions.map(|it| it.action.to_owned()).collect();
    // The service prefix of an action is not always that of the endpoint.
    assert_eq!(called, table);
}

#[tokio::test]
async fn the_permissions_of_init_are_those_of_its_calls() {
    let recorder = Recorder::new(Offline);
    places(&recorder).await.unwrap();
    let calls = recorder.calls();
    let called: BTreeSet<_> = calls.iter().map(|call| call.operation.action()).collect();
    let permissions = AwsVerb::Init.permissions();
    let table: BTreeSet<_> = permissions.map(|it| it.action.to_owned()).collect();
    assert_eq!(called, table);
}
