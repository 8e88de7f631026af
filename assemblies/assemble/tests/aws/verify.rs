//! `verify`: formats and exit codes.

use serde_json::{Value, json};

use crate::common::{ACCOUNT, aws, ok, project, refusal};
use crate::fake::{FakeEcs, Response, identity};

const DENIED: &str = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not allowed</Message></Error></ErrorResponse>";

/// An account in which the caller may read clusters and log groups only.
fn account(clusters: Value) -> FakeEcs {
    FakeEcs::start(move |operation, body, _| match operation {
        "GetCallerIdentity" => identity(ACCOUNT),
        "DescribeClusters" => ok(json!({ "clusters": clusters, "failures": [] })),
        "DescribeLogGroups" => {
            ok(json!({ "logGroups": [{ "logGroupName": body["logGroupNamePrefix"] }] }))
        }
        _ => refuse(operation),
    })
}

fn refuse(operation: &str) -> Response {
    // The APIs of the query protocol answer in XML.
    let is_json = matches!(
        operation,
        "DescribeClusters" | "DescribeLogGroups" | "ListServiceQuotas"
    );
    if is_json {
        refusal("AccessDeniedException", "not allowed")
    } else {
        (403, DENIED.to_owned())
    }
}

const ARGUMENTS: [&str; 6] = [
    "verify",
    "shop",
    "--values",
    "prod",
    "--value",
    "cluster=main",
];

#[test]
fn a_failure_is_printed_with_its_fix() {
    let (project, account) = (project(), account(json!([])));
    let found = aws(&project, &account.url, &ARGUMENTS);
    assert_eq!(found.code, Some(1), "{found:?}");

    let failure = "cluster\n  FAIL  main: there is no such cluster\n        fix: aws ecs create-cluster --cluster-name main";
    assert!(found.out.contains(failure), "{found:?}");

    let skipped = "SKIP  vCPUs of Fargate: not allowed to call servicequotas:ListServiceQuotas";
    assert!(found.out.contains(skipped), "{found:?}");
    assert!(found.out.contains("1 failed, "), "{found:?}");

    let json = aws(
        &project,
        &account.url,
        &[&ARGUMENTS[..], &["--format", "json"]].concat(),
    );

    assert_eq!(json.code, Some(1), "{json:?}");

    let report: Value = serde_json::from_str(&json.out).unwrap();
    let failed: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["status"] == "FAIL")
        .map(|check| &check["name"])
        .collect();

    assert_eq!(failed, ["main"]);
    assert_eq!(report["failed"], 1);

    // The colon of the title is escaped: it would end the property.
    let github = aws(
        &project,
        &account.url,
        &[&ARGUMENTS[..], &["--format", "github"]].concat(),
    );

    let annotation = "::error title=cluster%3A main::there is no such cluster%0Afix: aws ecs";
    assert!(github.out.contains(annotation), "{github:?}");
}

#[test]
fn what_cannot_be_checked_is_no_failure() {
    let cluster = json!([{ "clusterName": "main", "status": "ACTIVE" }]);
    let (project, account) = (project(), account(cluster));
    let found = aws(&project, &account.url, &ARGUMENTS);
    assert_eq!(found.code, Some(0), "{found:?}");
    assert!(found.out.contains("OK    main: ACTIVE"), "{found:?}");
    let subnets = "SKIP  subnets: the values have no `subnets`";
    assert!(found.out.contains(subnets), "{found:?}");
}

#[test]
fn a_caller_without_any_permission_gets_the_policy_named() {
    let fake = FakeEcs::start(|operation, _, _| match operation {
        "GetCallerIdentity" => identity(ACCOUNT),
        _ => refuse(operation),
    });
    let project = project();
    let found = aws(&project, &fake.url, &ARGUMENTS);
    assert_eq!(found.code, Some(3), "{found:?}");
    assert!(
        found.err.contains("`assemble permissions verify`"),
        "{found:?}"
    );
}

#[test]
fn invalid_places_are_refused_before_any_call() {
    let (project, account) = (project(), account(json!([])));
    let wrong = [
        "verify",
        "shop",
        "--values",
        "prod",
        "--value",
        "public_address=maybe",
    ];

    let found = aws(&project, &account.url, &wrong);
    assert_eq!(found.code, Some(2), "{found:?}");
    assert!(
        found.err.contains("expected ENABLED or DISABLED"),
        "{found:?}"
    );

    // The region of the values differs.
    let region = [&ARGUMENTS[..], &["--region", "us-east-1"]].concat();
    let found = aws(&project, &account.url, &region);
    assert_eq!(found.code, Some(2), "{found:?}");
    assert!(
        found.err.contains("pass `--region eu-central-1`"),
        "{found:?}"
    );

    assert!(account.requests.lock().unwrap().is_empty());
}
