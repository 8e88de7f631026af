//! A missing permission skips the checks that need it, and names it.

use ecs_client::{AwsVerb, CheckOutcome};

use crate::account::{Account, request};

#[tokio::test]
async fn each_missing_permission_is_named() {
    for permission in AwsVerb::Verify.permissions() {
        // Only `--service` calls it, before the checks.
        if permission.action == "ecs:DescribeServices" {
            continue;
        }
        // One permission at a time, so that every message is seen.
        let mut account = Account::new();
        account.denied = Some(permission.action.to_owned());
        let report = account.verify(&request()).await;

        let failures: Vec<_> = report.failures().collect();
        assert!(failures.is_empty(), "{}: {failures:?}", permission.action);
        let is_named = report.checks.iter().any(|check| {
            matches!(&check.outcome, CheckOutcome::Skip { permission: Some(action), .. }
                if action == permission.action)
        });
        assert!(is_named, "{}: {:?}", permission.action, report.checks);
        assert!(!report.is_refused(), "{}", permission.action);
    }
}

#[tokio::test]
async fn a_caller_without_permissions_is_refused() {
    let mut account = Account::new();
    account.denied = Some("*".to_owned());
    let report = account.verify(&request()).await;
    assert!(report.is_refused());
    assert_eq!(report.failures().count(), 0, "{:?}", report.checks);
}
