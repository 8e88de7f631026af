//! `assemble images` with a registry at an Amazon ECR host name: TLS, a login from AWS credentials, and a proxy.

#![cfg(all(feature = "lock", feature = "aws"))]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

mod support;
use support::{CommandOutput, Project};

#[path = "support/registries.rs"]
mod registries;
use registries::{ConnectProxy, Debian, FakeApi, assemble, project, write_layout};

const HOST: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com";
/// `AWS` with the password `secret`; bcrypt is the only hash that docker-registry accepts.
const USERS: &str = "AWS:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

struct Ecr {
    debian: Debian,
    api: FakeApi,
    proxy: ConnectProxy,
    project: Project,
    /// The digests that the API lists.
    listed: Arc<Mutex<Vec<String>>>,
}

impl Ecr {
    fn start(test: &str) -> Option<Self> {
        let project = project(HOST);
        let names = vec![HOST.to_owned()];
        let certified = rcgen::generate_simple_self_signed(names).unwrap();
        let certificate = project.write("certificate.pem", certified.cert.pem());
        let key = project.write("key.pem", certified.signing_key.serialize_pem());
        let users = project.write("users", USERS);
        let more = format!(
            "  tls: {{ certificate: '{}', key: '{}' }}\nauth:\n  htpasswd: {{ realm: r, path: '{}' }}\n",
            certificate.display(),
            key.display(),
            users.display()
        );

        let debian = Debian::start_with(test, &more)?;
        let listed: Arc<Mutex<Vec<String>>> = Arc::default();
        let digests = listed.clone();
        let api = FakeApi::start(move |operation, input| match operation {
            "GetAuthorizationToken" => {
                let token = STANDARD.encode("AWS:secret");
                let data = json!({ "authorizationData": [{ "authorizationToken": token }] });
                (200, data.to_string())
            }
            "ListImages" => {
                let digests = digests.lock().unwrap();
                let images = digests
                    .iter()
                    .map(|digest| json!({ "imageDigest": digest }));
                (
                    200,
                    json!({ "imageIds": images.collect::<Vec<_>>() }).to_string(),
                )
            }
            "BatchDeleteImage" => (200, r#"{"imageIds":[],"failures":[]}"#.to_owned()),
            "CreateRepository" if input["repositoryName"] == "web" => {
                (200, r#"{"repository":{}}"#.to_owned())
            }
            "CreateRepository" => (
                400,
                r#"{"__type":"RepositoryAlreadyExistsException","message":"exists"}"#.to_owned(),
            ),
            _ => (400, r#"{"__type":"Unknown"}"#.to_owned()),
        });
        let proxy = ConnectProxy::start(debian.address.clone());
        Some(Self {
            debian,
            api,
            proxy,
            project,
            listed,
        })
    }

    fn assemble(&self, arguments: &[&str], variables: &[(&str, &str)]) -> CommandOutput {
        let certificate = self.project.root().join("certificate.pem");
        let proxy = format!("http://me:pass@{}", self.proxy.address);
        let environment = [
            ("SSL_CERT_FILE", certificate.to_str().unwrap()),
            ("HTTPS_PROXY", &proxy),
            ("AWS_ENDPOINT_URL_ECR", &self.api.url),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
        ];
        assemble(
            &self.project,
            arguments,
            &[&environment, variables].concat(),
        )
    }
}

#[test]
fn pushes_through_a_proxy_with_aws_credentials() {
    let Some(ecr) = Ecr::start("images push to Amazon ECR") else {
        return;
    };
    write_layout(&ecr.project.root().join(".assemble/images/cart"), "cart");
    let arguments = [
        "images",
        "push",
        "--create-repositories",
        "--value",
        "version=1",
    ];
    let pushed = ecr.assemble(&arguments, &[]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.err);
    assert!(pushed.out.contains(&format!("{HOST}/web:1@sha256:")));
    assert!(pushed.out.contains(&format!("{HOST}/cart:1@sha256:")));
    assert!(
        pushed.err.contains(&format!("created {HOST}/web")),
        "{}",
        pushed.err
    );
    assert!(!pushed.err.contains(&format!("created {HOST}/cart")));

    let created = ecr.api.inputs("CreateRepository");
    let web = created
        .iter()
        .find(|input| input["repositoryName"] == "web");
    let web = web.unwrap();
    assert_eq!(web["registryId"], "111122223333");
    assert_eq!(web["imageTagMutability"], "IMMUTABLE");
    assert_eq!(web["imageScanningConfiguration"]["scanOnPush"], true);
    // One login for both images.
    assert_eq!(ecr.api.inputs("GetAuthorizationToken").len(), 1);

    let tunnels = ecr.proxy.requests.lock().unwrap().clone();
    assert!(
        tunnels[0].starts_with(&format!("CONNECT {HOST}:443 ")),
        "{tunnels:?}"
    );
    let login = format!("Basic {}", STANDARD.encode("me:pass"));
    assert!(tunnels[0].contains(&login), "{tunnels:?}");
}

#[test]
fn prunes_untagged_images_with_the_api_of_ecr() {
    let Some(ecr) = Ecr::start("images prune on Amazon ECR") else {
        return;
    };
    let folder = ecr.project.root().join(".assemble/images/web");
    let old = write_layout(&folder, "old");
    assert_eq!(ecr.assemble(&["images", "push"], &[]).code, Some(0));
    let new = write_layout(&folder, "new");
    let moved = ecr.assemble(&["images", "push", "--move-tag"], &[]);
    assert_eq!(moved.code, Some(0), "{}", moved.err);

    // The old image has no tag any more, so the registry protocol does not list it.
    ecr.listed.lock().unwrap().extend([old.clone(), new]);
    let pruned = ecr.assemble(&["images", "prune", "--no-ecs", "--yes"], &[]);
    assert_eq!(pruned.code, Some(0), "{}", pruned.err);
    assert_eq!(pruned.out, format!("{HOST}/web@{old}\n"));
    let deleted = ecr.api.inputs("BatchDeleteImage");
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0]["repositoryName"], "web");
    assert_eq!(deleted[0]["imageIds"], json!([{ "imageDigest": old }]));
}

#[test]
fn uses_the_login_of_docker_without_aws_credentials() {
    let Some(ecr) = Ecr::start("docker's login to Amazon ECR") else {
        return;
    };
    let none = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("HOME", "/nonexistent"),
    ];
    let denied = ecr.assemble(&["images", "push"], &none);
    assert_eq!(denied.code, Some(3), "{}", denied.err);
    assert!(
        denied.err.contains("using docker's login"),
        "{}",
        denied.err
    );
    assert!(
        denied
            .err
            .contains("aws ecr get-login-password --region eu-central-1")
    );

    let login = STANDARD.encode("AWS:secret");
    let config = format!(r#"{{"auths":{{"{HOST}":{{"auth":"{login}"}}}}}}"#);
    ecr.project.write("config.json", config);
    let pushed = ecr.assemble(&["images", "push"], &none);
    assert_eq!(pushed.code, Some(0), "{}", pushed.err);
}

#[test]
fn reports_a_proxy_that_opens_no_tunnel() {
    let Some(ecr) = Ecr::start("a broken proxy") else {
        return;
    };
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://me:pass@{}", closed.local_addr().unwrap());
    drop(closed);
    let failed = ecr.assemble(&["images", "push"], &[("HTTPS_PROXY", &proxy)]);
    assert_eq!(failed.code, Some(3), "{}", failed.err);
    assert!(
        failed.err.contains("the proxy `127.0.0.1:"),
        "{}",
        failed.err
    );
    assert!(!failed.err.contains("pass@"), "{}", failed.err);
}

#[test]
fn every_verb_that_reads_uses_aws_credentials() {
    let Some(ecr) = Ecr::start("reading from Amazon ECR") else {
        return;
    };
    assert_eq!(ecr.assemble(&["images", "push"], &[]).code, Some(0));
    // The lock of the push would hide a request.
    std::fs::remove_dir_all(ecr.project.root().join("assemblies/locks")).unwrap();
    std::fs::remove_dir_all(ecr.project.root().join(".assemble")).unwrap();
    let cache = ecr.project.root().join("cache");
    let cache = [("XDG_CACHE_HOME", cache.to_str().unwrap())];
    let image = format!("{HOST}/web:1");
    let logins = || ecr.api.inputs("GetAuthorizationToken").len();

    for (arguments, code) in [
        (&["images", "inspect", &image][..], 0),
        (&["lock", "--all"], 0),
        (&["check", "shop", "--images"], 1),
        // There is none: the layout was not written by `images build`.
        (&["images", "sbom", &image], 2),
    ] {
        let before = logins();
        let output = ecr.assemble(arguments, &cache);
        assert_eq!(
            output.code,
            Some(code),
            "{arguments:?}: {} {}",
            output.out,
            output.err
        );
        assert!(!output.out.contains("I01"), "{}", output.out);
        assert_eq!(logins(), before + 1, "{arguments:?}");
    }
}

#[test]
fn an_unknown_authority_is_named_with_what_to_do() {
    let Some(ecr) = Ecr::start("an unknown authority") else {
        return;
    };
    let other = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let other = ecr.project.write("other.pem", other.cert.pem());
    let variables = [("SSL_CERT_FILE", other.to_str().unwrap())];
    let output = ecr.assemble(&["images", "push"], &variables);
    assert_eq!(output.code, Some(3), "{}", output.err);
    assert!(
        output.err.contains("no secure connection"),
        "{}",
        output.err
    );
    assert!(output.err.contains("SSL_CERT_FILE"), "{}", output.err);
}

/// Returns the ECR actions that a request of the registry protocol needs.
fn actions_of_request(line: &str) -> Vec<&'static str> {
    let field = |name: &str| {
        let (_, rest) = line.split_once(name)?;
        rest.trim_start_matches('"').split([' ', '"']).next()
    };
    let (Some(method), Some(uri)) = (field("http.request.method="), field("http.request.uri="))
    else {
        return Vec::new();
    };

    match method {
        "POST" if uri.contains("mount=") => vec!["InitiateLayerUpload", "GetDownloadUrlForLayer"],
        "POST" => vec!["InitiateLayerUpload"],
        "PUT" if uri.contains("/uploads/") => vec!["UploadLayerPart", "CompleteLayerUpload"],
        "PUT" => vec!["PutImage"],
        "HEAD" if uri.contains("/blobs/") => vec!["BatchCheckLayerAvailability"],
        _ if uri.contains("/blobs/") => vec!["GetDownloadUrlForLayer"],
        _ if uri.contains("/tags/list") => vec!["ListImages"],
        _ => vec!["BatchGetImage"],
    }
}

const ARN: &str = "arn:aws:ecs:eu-central-1:111122223333:task-definition/web";

/// Starts an ECS with one task definition and one service.
fn start_ecs() -> FakeApi {
    FakeApi::start(|operation, _| {
        let definition = json!({ "containerDefinitions": [{ "name": "a", "image": "a:1" }] });
        let response = match operation {
            "ListTaskDefinitionFamilies" => json!({ "families": ["web"] }),
            "ListTaskDefinitions" => json!({ "taskDefinitionArns": [format!("{ARN}:1")] }),
            "DescribeTaskDefinition" => json!({ "taskDefinition": definition }),
            "ListClusters" => json!({ "clusterArns": ["main"] }),
            "ListServices" => json!({ "serviceArns": ["web"] }),
            "DescribeServices" => json!({ "services": [{ "serviceArn": "web" }] }),
            "ListServiceDeployments" => {
                json!({ "serviceDeployments": [{ "targetServiceRevisionArn": "r" }] })
            }
            _ => json!({}),
        };
        (200, response.to_string())
    })
}

#[test]
fn the_policy_of_a_verb_allows_the_calls_that_it_makes() {
    let Some(ecr) = Ecr::start("permissions for Amazon ECR") else {
        return;
    };
    // The same layer in a second repository is mounted.
    let root = ecr.project.root().join(".assemble/images");
    write_layout(&root.join("cart"), "first");
    let ecs = start_ecs();
    let variables = [
        ("AWS_ENDPOINT_URL_ECS", ecs.url.as_str()),
        ("AWS_REGION", "eu-central-1"),
    ];

    for (verb, arguments) in [
        (
            "images-push",
            &[
                "images",
                "push",
                "--create-repositories",
                "--value",
                "version=1",
            ][..],
        ),
        ("lock", &["lock", "--all"]),
        ("images-prune", &["images", "prune", "web", "--yes"]),
    ] {
        ecr.debian.log.lock().unwrap().clear();
        ecr.api.requests.lock().unwrap().clear();
        if verb == "images-prune" {
            // An image without a tag, which only the API lists, and nothing names.
            let layout = root.join("web");
            let digest = write_layout(&layout, "unused");
            let push = ["images", "push", "web", "--tag", "unused"];
            assert_eq!(ecr.assemble(&push, &variables).code, Some(0));
            ecr.listed.lock().unwrap().push(digest);
            ecr.debian.log.lock().unwrap().clear();
            ecr.api.requests.lock().unwrap().clear();
        }
        let output = ecr.assemble(arguments, &variables);
        assert_eq!(output.code, Some(0), "{verb}: {}", output.err);

        let policy = ecr.project.assemble(&["permissions", verb]).json();
        let statements = policy["Statement"].as_array().unwrap().iter();
        let allowed: BTreeSet<String> = statements
            .map(|statement| statement["Action"].as_str().unwrap().to_owned())
            .collect();
        let api = ecr.api.requests.lock().unwrap().clone();
        let ecs = ecs.requests.lock().unwrap().clone();
        let log = ecr.debian.log.lock().unwrap().clone();
        let protocol = log.iter().flat_map(|line| actions_of_request(line));
        let mut made: BTreeSet<String> = protocol.map(|name| format!("ecr:{name}")).collect();
        made.extend(api.iter().map(|(name, _)| format!("ecr:{name}")));
        if verb == "images-prune" {
            made.extend(ecs.iter().map(|(name, _)| format!("ecs:{name}")));
        }
        assert_eq!(made, allowed, "{verb}");
    }
}

#[test]
fn a_policy_is_limited_to_the_repositories_of_an_assembly() {
    let project = project(HOST);
    let policy = project
        .assemble(&["permissions", "images-push", "shop"])
        .json();
    let statements = policy["Statement"].as_array().unwrap().clone();
    let put = statements
        .iter()
        .find(|statement| statement["Action"] == "ecr:PutImage");
    let expected = json!(["arn:aws:ecr:eu-central-1:111122223333:repository/web"]);
    assert_eq!(put.unwrap()["Resource"], expected);
}
