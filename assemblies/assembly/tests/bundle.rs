//! One image for several components: which containers use it, and how a definition with it is read.

#![allow(clippy::expect_used, reason = "a panic fails the test")]
#![allow(clippy::panic, reason = "a panic fails the test")]

use assembly::import::{ImportOptions, import};
use assembly::inject::{InjectRequest, inject};
use assembly::{Catalog, plan};
use diagnostics::Finding;
use diagnostics::source::Source;
use ecs_rules::{check, check_with};
use task_definition::{ContainerDefinition, LocatedDefinition, TaskDefinition, read};

mod support;

const BUNDLE: &str = "registry.example/sidecars:1";
/// Telemetry that stops early enough for Spot (H06).
const TELEMETRY: &str = "sidecars: [telemetry-forwarder]
overrides: { telemetry-forwarder: { stopTimeout: 30 } }
";

/// Returns the manifest of a task with two proxies, and more fields.
fn manifest(more: &str) -> String {
    format!(
        "name: shop
app: coins
ingress: [tls-proxy, auth-filter]
settings:
  auth-filter: {{ issuer: \"https://issuer.example/\", audience: shop }}
secrets:
  tls-proxy: {{ certificate: \"arn:aws:secretsmanager:eu-central-1:111122223333:secret:tls-Ab1Cd2\" }}
service: {{}}
{more}"
    )
}

fn catalog() -> Catalog {
    support::catalog("tests/catalog")
}

/// Returns the catalog with the bundle's file replaced.
fn catalog_with(bundle: &str) -> Catalog {
    let files = support::entries(&support::here("tests/catalog"));
    let files = files.iter().filter(|file| !file.ends_with("sidecars.yaml"));
    let mut sources: Vec<Source> = files
        .map(|file| support::source(file, &support::name(file)))
        .collect();
    sources.push(Source::new("sidecars/bundle/bundle.yaml", bundle));
    Catalog::read(&sources)
}

fn try_plan(manifest: &str, catalog: &Catalog) -> Result<TaskDefinition, Vec<Finding>> {
    let source = Source::new("shop.yaml", manifest);
    let plan = plan(&source, catalog, &support::values())?;
    Ok(plan.definition().clone())
}

fn plan_task(manifest: &str) -> TaskDefinition {
    match try_plan(manifest, &catalog()) {
        Ok(definition) => definition,
        Err(findings) => panic!("{}", support::format_findings(&findings)),
    }
}

fn rules(result: Result<TaskDefinition, Vec<Finding>>) -> Vec<&'static str> {
    let findings = result.err().unwrap_or_default();
    findings.iter().map(|finding| finding.rule).collect()
}

/// Returns image, entry point and health check of a container, as text.
fn program(definition: &TaskDefinition, name: &str) -> [String; 3] {
    let container = definition.container(name).expect("the container");
    let check = container.health_check.as_ref();
    [
        container.image.clone(),
        container.entry_point.join(" "),
        check
            .map(|check| check.command.join(" "))
            .unwrap_or_default(),
    ]
}

fn call_in_bundle(image: &str, name: &str) -> [String; 3] {
    [
        image.to_owned(),
        format!("/sidecars {name}"),
        format!("CMD /sidecars {name} probe"),
    ]
}

fn single(image: &str, name: &str) -> [String; 3] {
    [
        image.to_owned(),
        String::new(),
        format!("CMD /{name} probe"),
    ]
}

#[test]
fn two_members_use_the_image_of_the_bundle_and_others_their_own() {
    let task = plan_task(&manifest(""));

    assert_eq!(
        program(&task, "tls-proxy"),
        call_in_bundle(BUNDLE, "tls-proxy")
    );
    assert_eq!(
        program(&task, "auth-filter"),
        call_in_bundle(BUNDLE, "auth-filter")
    );
    assert_eq!(
        program(&task, "coins"),
        single("registry.example/coins:1", "coins")
    );
    assert_eq!(task.container("tls-proxy").expect("it").command, ["serve"]);
}

#[test]
fn a_single_member_uses_its_own_image() {
    let task = plan_task("name: shop\napp: coins\nsidecars: [telemetry-forwarder]\nservice: {}\n");
    let expected = single(
        "registry.example/telemetry-forwarder:1",
        "telemetry-forwarder",
    );
    assert_eq!(program(&task, "telemetry-forwarder"), expected);
}

#[test]
fn single_images_are_those_without_a_bundle() {
    let with = plan_task(&manifest("images: single\n"));

    let files = support::entries(&support::here("tests/catalog"));
    let files = files.iter().filter(|file| !file.ends_with("sidecars.yaml"));
    let sources: Vec<Source> = files
        .map(|file| support::source(file, &support::name(file)))
        .collect();
    let without = try_plan(&manifest(""), &Catalog::read(&sources));
    assert_eq!(Ok(with), without);
}

#[test]
fn another_word_for_images_is_a_finding_with_the_choices() {
    let findings = try_plan(&manifest("images: other\n"), &catalog()).expect_err("a finding");
    let text = support::format_findings(&findings);
    assert!(text.contains("`other`"), "{text}");
    assert!(text.contains("bundle") && text.contains("single"), "{text}");
}

#[test]
fn a_container_with_fields_for_its_own_image_keeps_it() {
    let own = "registry.example/own:2";
    for (more, image) in [
        (
            "overrides: { tls-proxy: { image: \"registry.example/own:2\" } }\n",
            own,
        ),
        (
            "patch: { containerDefinitions: [{ name: tls-proxy, image: \"registry.example/own:2\" }] }\n",
            own,
        ),
        (
            "overrides: { tls-proxy: { healthCheck: { command: [CMD, /tls-proxy, probe] } } }\n",
            "registry.example/tls-proxy:1",
        ),
    ] {
        let task = plan_task(&manifest(&format!(
            "sidecars: [telemetry-forwarder]\n{more}"
        )));
        assert_eq!(
            program(&task, "tls-proxy"),
            single(image, "tls-proxy"),
            "{more}"
        );
        assert_eq!(
            program(&task, "auth-filter"),
            call_in_bundle(BUNDLE, "auth-filter"),
            "{more}"
        );
    }

    // The file that the entry point names is in the component's image.
    let entry_point = "overrides: { tls-proxy: { entryPoint: [/tls-proxy] } }\n";
    let task = plan_task(&manifest(entry_point));
    let [image, words, _] = program(&task, "tls-proxy");
    assert_eq!(
        [image, words],
        ["registry.example/tls-proxy:1", "/tls-proxy"]
    );
    // Only one other member is left.
    let expected = single("registry.example/auth-filter:1", "auth-filter");
    assert_eq!(program(&task, "auth-filter"), expected);
}

#[test]
fn an_override_with_the_image_of_the_bundle_keeps_its_commands() {
    let mirror = "mirror.example/team/sidecars:2";
    for images in ["bundle", "single"] {
        let more =
            format!("images: {images}\noverrides: {{ tls-proxy: {{ image: \"{mirror}\" }} }}\n");
        let task = plan_task(&manifest(&more));
        assert_eq!(
            program(&task, "tls-proxy"),
            call_in_bundle(mirror, "tls-proxy")
        );
    }
}

#[test]
fn an_unknown_member_is_a_finding_of_assemblies_that_could_use_the_bundle() {
    let catalog = catalog_with(
        "schema: 1\nname: sidecars\nkind: bundle\nsummary: Two\nimage: sidecars:1\nmembers: [tls-proxy, auth-fitler]\n",
    );

    let findings = try_plan(&manifest(""), &catalog).expect_err("a finding");
    let text = support::format_findings(&findings);
    assert!(text.contains("sidecars/bundle/bundle.yaml:6"), "{text}");
    assert!(
        text.contains("there is no component `auth-fitler`"),
        "{text}"
    );
    assert!(text.contains("auth-filter"), "{text}");

    assert!(try_plan(&manifest("images: single\n"), &catalog).is_ok());
    let one = "name: shop\napp: coins\nsidecars: [telemetry-forwarder]\nservice: {}\n";
    assert!(try_plan(one, &catalog).is_ok());
}

#[test]
fn a_bundle_with_mistakes_is_rejected() {
    let file = |name: &str, members: &str, more: &str| {
        format!(
            "schema: 1\nname: {name}\nkind: bundle\nsummary: All\nimage: all:1\nmembers: {members}\n{more}"
        )
    };
    for (text, rule) in [
        (file("All", "[tls-proxy]", ""), "M04"),
        (file("all", "[tls-proxy, tls-proxy]", ""), "M06"),
        (file("all", "[tls-proxy]", "size: { cpu: 1 }\n"), "M01"),
        (file("all", "tls-proxy", ""), "M02"),
        ("schema: 1\nname: all\nkind: bundle\n".to_owned(), "M03"),
        // Without its kind it is still a `bundle.yaml`.
        (
            file("all", "[tls-proxy]", "").replace("kind: bundle\n", ""),
            "M03",
        ),
        ("members: [".to_owned(), "Y01"),
    ] {
        let found = rules(try_plan(&manifest(""), &catalog_with(&text)));
        assert!(found.contains(&rule), "{text}{found:?}");
    }
}

#[test]
fn a_third_party_image_cannot_be_a_member() {
    let agent = "schema: 1\nname: agent\nkind: sidecar\nsummary: An agent\nimage: agent:1\n\
                 size: { cpu: 32, memory: 64 }\ncontainer: {}\n";
    let bundle =
        "schema: 1\nname: all\nkind: bundle\nsummary: All\nimage: all:1\nmembers: [agent]\n";
    let sources = [
        Source::new("agent.yaml", agent),
        Source::new("bundle.yaml", bundle),
    ];

    let catalog = Catalog::read(&sources);
    let findings: Vec<&Finding> = catalog
        .bundles()
        .filter_map(Result::err)
        .flatten()
        .collect();
    let found: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    assert_eq!(found, ["M18"]);
}

#[test]
fn an_undefined_value_of_the_image_is_reported_at_the_bundle() {
    let catalog = catalog_with(
        "schema: 1\nname: sidecars\nkind: bundle\nsummary: All\nimage: \"sidecars:${bundle_version}\"\nmembers: [tls-proxy, auth-filter]\n",
    );
    let findings = try_plan(&manifest(""), &catalog).expect_err("a finding");
    let text = support::format_findings(&findings);
    assert!(
        text.contains("bundle_version") && text.contains("bundle.yaml:5"),
        "{text}"
    );
}

/// Returns a definition as `check` of a file sees it.
fn locate(definition: &TaskDefinition) -> LocatedDefinition {
    read(&Source::new("task.json", definition.to_json())).expect("a definition")
}

#[test]
fn rules_know_the_program_of_each_container() {
    let catalog = catalog();
    let mut task = plan_task(&manifest(TELEMETRY));
    let found = |task: &TaskDefinition| -> Vec<&str> {
        let findings = check_with(&locate(task), &catalog.image_facts());
        findings.iter().map(|finding| finding.rule).collect()
    };
    assert_eq!(found(&task), [""; 0]);

    // D09: an essential telemetry agent. The proxies of the same image are essential and are none.
    let agent = task.container_definitions.iter_mut();
    for container in agent.filter(|container| container.name == "telemetry-forwarder") {
        container.essential = Some(true);
        container.restart_policy = None;
    }
    assert_eq!(found(&task), ["D09"]);

    // H04: no shell in the image.
    for container in &mut task.container_definitions {
        if let Some(check) = &mut container.health_check {
            check.command = vec!["CMD-SHELL".to_owned(), "curl localhost".to_owned()];
        }
    }
    assert!(found(&task).contains(&"H04"), "{:?}", found(&task));
}

#[test]
fn import_recognises_the_members() {
    let task = plan_task(&manifest(TELEMETRY));
    let imported = import(&task, &catalog(), &ImportOptions::default());
    let Ok(imported) = imported else {
        panic!("cannot import: {:?}", imported.err());
    };

    assert_eq!(imported.components, []);
    let manifest = &imported.manifest;
    assert!(
        manifest.contains("ingress: [tls-proxy, auth-filter]\n"),
        "{manifest}"
    );
    assert!(
        manifest.contains("sidecars: [telemetry-forwarder]\n"),
        "{manifest}"
    );
    // Derived from the image, so that nothing overrides them.
    assert!(!manifest.contains("entryPoint"), "{manifest}");
    assert!(!manifest.contains("healthCheck"), "{manifest}");
}

#[test]
fn a_member_is_recognised_by_the_words_that_call_it() {
    let catalog = catalog();
    let member = |image: &str, entry_point: &[&str], command: &[&str]| {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let container = ContainerDefinition {
            image: image.to_owned(),
            entry_point: words(entry_point),
            command: words(command),
            ..ContainerDefinition::default()
        };
        let found = catalog.find_bundled(&container);
        found.map(|(_, component)| component.name().to_owned())
    };

    let expected = Some("tls-proxy".to_owned());
    assert_eq!(
        member(BUNDLE, &["/sidecars", "tls-proxy"], &["serve"]),
        expected
    );
    assert_eq!(
        member(BUNDLE, &["/sidecars"], &["tls-proxy", "serve"]),
        expected
    );
    assert_eq!(member(BUNDLE, &[], &["tls-proxy"]), expected);
    assert_eq!(
        member("other.example/sidecars@sha256:01", &["/tls-proxy"], &[]),
        expected
    );
    assert_eq!(member(BUNDLE, &[], &[]), None);
    assert_eq!(
        member(BUNDLE, &["/sidecars", "other"], &["tls-proxy"]),
        None
    );
    assert_eq!(
        member("registry.example/tools:1", &["/tools", "tls-proxy"], &[]),
        None
    );
}

#[test]
fn the_second_injected_member_makes_both_use_the_bundle() {
    let web = r#"{ "family": "shop", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "cpu": "256", "memory": "512", "containerDefinitions": [
          { "name": "web", "image": "web:1.2", "memory": 256, "portMappings": [{ "containerPort": 8080 }] } ] }"#;
    let web = read(&Source::new("task.json", web))
        .expect("a definition")
        .definition;
    let request = |component: &str, settings: &[(&str, &str)]| {
        let certificate = "arn:aws:secretsmanager:eu-west-1:222233334444:secret:tls-Ab1Cd2";
        let secret = (component == "tls-proxy").then(|| ("certificate".into(), certificate.into()));
        let settings = settings.iter();
        InjectRequest {
            component: component.to_owned(),
            secrets: secret.into_iter().collect(),
            settings: settings
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..InjectRequest::default()
        }
    };
    let add = |task: &TaskDefinition, request: &InjectRequest| {
        let injected = inject(task, &catalog(), &support::values(), request);
        injected.expect("it can be injected").definition
    };

    let one = add(&web, &request("tls-proxy", &[]));
    let expected = single("registry.example/tls-proxy:1", "tls-proxy");
    assert_eq!(program(&one, "tls-proxy"), expected);

    let settings = [("issuer", "https://issuer.example/"), ("audience", "shop")];
    let two = add(&one, &request("auth-filter", &settings));
    for name in ["tls-proxy", "auth-filter"] {
        assert_eq!(program(&two, name), call_in_bundle(BUNDLE, name));
    }

    // A container that was not injected pulls the image already.
    let mut existing = web.clone();
    let forwarder = plan_task(&manifest(TELEMETRY));
    let mut forwarder = forwarder
        .container("telemetry-forwarder")
        .expect("it")
        .clone();
    forwarder.image = "mirror.example/sidecars:7".to_owned();
    existing.container_definitions.push(forwarder);
    let joined = add(&existing, &request("tls-proxy", &[]));
    let expected = call_in_bundle("mirror.example/sidecars:7", "tls-proxy");
    assert_eq!(program(&joined, "tls-proxy"), expected);
}

#[test]
fn the_documents_of_a_bundle_have_no_findings() {
    let task = plan_task(&manifest(TELEMETRY));
    let findings = check(&locate(&task));
    assert!(
        findings.is_empty(),
        "{}",
        support::format_findings(&findings)
    );
}
