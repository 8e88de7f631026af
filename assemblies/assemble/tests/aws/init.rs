//! `init aws`: the values of an environment.

use serde_json::json;

use crate::common::{ACCOUNT, Terminal, aws, ok, project, refusal};
use crate::fake::{FakeEcs, Response, identity};

/// An account with the clusters, and a VPC with a private and a public subnet in each zone.
fn account(clusters: &'static [&'static str]) -> FakeEcs {
    FakeEcs::start(move |operation, _, _| match operation {
        "GetCallerIdentity" => identity(ACCOUNT),
        "ListClusters" => {
            let arn = |name: &&str| format!("arn:aws:ecs:eu-central-1:{ACCOUNT}:cluster/{name}");
            let arns: Vec<_> = clusters.iter().map(arn).collect();
            ok(json!({ "clusterArns": arns }))
        }
        "DescribeVpcs" => xml(
            "DescribeVpcs",
            "vpcSet",
            &["<vpcId>vpc-1</vpcId><cidrBlock>10.0.0.0/16</cidrBlock>"],
        ),
        "DescribeSubnets" => {
            let subnet = |id: &str, zone: &str| {
                format!(
                    "<subnetId>{id}</subnetId><vpcId>vpc-1</vpcId><availabilityZone>{zone}</availabilityZone>"
                )
            };
            let subnets = [
                subnet("subnet-public", "a"),
                subnet("subnet-1", "a"),
                subnet("subnet-2", "b"),
                subnet("subnet-3", "b"),
            ];
            xml(
                "DescribeSubnets",
                "subnetSet",
                &subnets.each_ref().map(String::as_str),
            )
        }
        "DescribeRouteTables" => {
            let table = |route: &str, association: &str| {
                format!(
                    "<vpcId>vpc-1</vpcId><routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock>{route}</item>\
                     </routeSet><associationSet><item>{association}</item></associationSet>"
                )
            };
            // The main table leads to a NAT gateway, that of one subnet to the internet gateway.
            let tables = [
                table("<natGatewayId>nat-1</natGatewayId>", "<main>true</main>"),
                table(
                    "<gatewayId>igw-1</gatewayId>",
                    "<main>false</main><subnetId>subnet-public</subnetId>",
                ),
            ];
            xml(
                "DescribeRouteTables",
                "routeTableSet",
                &tables.each_ref().map(String::as_str),
            )
        }
        _ => refusal("InvalidAction", operation),
    })
}

fn xml(operation: &str, list: &str, items: &[&str]) -> Response {
    let items: String = items
        .iter()
        .map(|item| format!("<item>{item}</item>"))
        .collect();
    (
        200,
        format!("<{operation}Response><{list}>{items}</{list}></{operation}Response>"),
    )
}

#[test]
fn the_only_candidates_are_written() {
    let (project, account) = (project(), account(&["main"]));
    let found = aws(&project, &account.url, &["init", "aws", "staging"]);
    assert_eq!(found.code, Some(0), "{found:?}");

    let expected = format!(
        "account: \"{ACCOUNT}\"\nregion: eu-central-1\ncluster: main\nvpc: vpc-1\nsubnets: subnet-1,subnet-2\n\
         public_address: DISABLED\n"
    );

    assert_eq!(project.read("assemblies/values/staging.yaml"), expected);

    // A second time nothing changes, and what people wrote stays.
    let edited = format!("# ours\nissuer: https://issuer.example/\n{expected}");
    project.write("assemblies/values/staging.yaml", &edited);

    let again = aws(&project, &account.url, &["init", "aws", "staging"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(project.read("assemblies/values/staging.yaml"), edited);
}

#[test]
fn public_subnets_need_a_public_address() {
    let (project, account) = (project(), account(&["main"]));
    let arguments = ["init", "aws", "staging", "--subnet", "subnet-public"];
    let found = aws(&project, &account.url, &arguments);
    assert_eq!(found.code, Some(0), "{found:?}");
    let text = project.read("assemblies/values/staging.yaml");
    assert!(
        text.ends_with("subnets: subnet-public\npublic_address: ENABLED\n"),
        "{text}"
    );
}

#[test]
fn values_are_replaced_only_by_force() {
    let (project, account) = (project(), account(&["main"]));
    let before = "vpc: vpc-9 # old\nhosts: a.example\n";
    project.write("assemblies/values/staging.yaml", before);

    let refused = aws(&project, &account.url, &["init", "aws", "staging"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("`vpc: vpc-9`"), "{refused:?}");
    assert_eq!(project.read("assemblies/values/staging.yaml"), before);

    let forced = aws(
        &project,
        &account.url,
        &["init", "aws", "staging", "--force"],
    );

    assert_eq!(forced.code, Some(0), "{forced:?}");

    let text = project.read("assemblies/values/staging.yaml");
    assert!(text.starts_with("vpc: vpc-1\nhosts: a.example\n"), "{text}");
}

#[test]
fn several_candidates_are_listed() {
    let (project, account) = (project(), account(&["main", "blue"]));
    let found = aws(&project, &account.url, &["init", "aws", "staging"]);
    assert_eq!(found.code, Some(2), "{found:?}");
    assert!(
        found
            .err
            .contains("pass `--cluster` with one of: blue, main"),
        "{found:?}"
    );

    // A name that the account does not have.
    let unknown = ["init", "aws", "staging", "--cluster", "green"];
    let found = aws(&project, &account.url, &unknown);
    assert_eq!(found.code, Some(2), "{found:?}");
    assert!(found.err.contains("there are: blue, main"), "{found:?}");
    assert!(
        !project
            .root()
            .join("assemblies/values/staging.yaml")
            .exists()
    );
}

#[test]
fn a_terminal_is_asked() {
    let (project, account) = (project(), account(&["main", "blue"]));
    let mut terminal = Terminal::start(&project, &account.url, &["init", "aws", "staging"]);
    terminal.wait_for("cluster [1-2]:");
    // The candidates are sorted: blue, main.
    terminal.type_keys("2\n");
    assert_eq!(terminal.finish(), Some(0), "{}", terminal.text());
    let text = project.read("assemblies/values/staging.yaml");
    assert!(text.contains("cluster: main\n"), "{text}");
}

#[test]
fn the_example_values_are_not_overwritten() {
    let (project, account) = (project(), account(&["main"]));
    for name in ["example", "local", "../x"] {
        let found = aws(&project, &account.url, &["init", "aws", name]);
        assert_eq!(found.code, Some(2), "{found:?}");
    }
    assert!(account.requests.lock().unwrap().is_empty());
}
