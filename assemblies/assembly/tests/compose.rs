//! Compares `compose.yaml` with the task definition.
//!
//! The second half runs `docker compose config`, if there is a docker-compose in `.venv` or on the path.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use assembly::{Catalog, Plan, Values, plan, render};
use diagnostics::source::{Source, parse};
use serde_json::{Value, json};
use task_definition::{Condition, ContainerDefinition};

mod support;

/// Returns the plans of the shipped assemblies and of the golden cases that can be planned.
fn plans() -> Vec<(String, Plan)> {
    let mut plans = Vec::new();
    let catalog = support::catalog("tests/catalog");
    for case in support::entries(&support::here("tests/cases")) {
        let source = support::source(&case.join("assembly.yaml"), "assembly.yaml");
        if let Ok(plan) = plan(&source, &catalog, &support::values()) {
            plans.push((format!("case {}", support::name(&case)), plan));
        }
    }

    let root = support::here("../..");
    let catalog = Catalog::read(&support::project_sources());

    let values = support::source(&root.join("assemblies/values/example.yaml"), "example.yaml");
    let values = Values::read(&values).expect("values");
    for file in support::entries(&root.join("assemblies")) {
        if file.extension().is_some_and(|end| end == "yaml") {
            let plan = plan(
                &support::source(&file, &support::name(&file)),
                &catalog,
                &values,
            );
            plans.push((support::name(&file), plan.expect("a plan")));
        }
    }

    // Fields that no other assembly has.
    let unusual = Source::new("unusual.yaml", UNUSUAL);
    let plan = plan(
        &unusual,
        &support::catalog("tests/catalog"),
        &support::values(),
    );
    let plan = plan
        .map_err(|findings| support::format_findings(&findings))
        .expect("a plan");

    plans.push(("unusual".to_owned(), plan));
    plans
}

const UNUSUAL: &str = r#"
name: unusual
app: coins
service: {}
overrides: { coins: { cpu: 500, memory: 900, memoryReservation: 512 } }
patch:
  pidMode: task
  containerDefinitions:
    - name: coins
      command: ["serve", "$HOME", "$${NOT_OURS}", "it's: 'odd' # \"here\""]
      environment: [{ name: PRICE, value: "5 $ a day\n" }, { name: TRUTH, value: "no" }]
      secrets:
        - { name: KEY, valueFrom: "arn:aws:ssm:eu-central-1:111122223333:parameter/one" }
      healthCheck: { command: ["CMD-SHELL", "curl -f localhost:$PORT || exit 1"] }
      restartPolicy: { enabled: true, ignoredExitCodes: [0] }
      workingDirectory: /srv
      dockerLabels: { "team.name": "$coins" }
      ulimits: [{ name: nofile, softLimit: 1024, hardLimit: 65535 }]
      systemControls: [{ namespace: net.core.somaxconn, value: "1024" }]
      linuxParameters:
        initProcessEnabled: true
        capabilities: { drop: [ALL] }
      dependsOn: [{ containerName: once, condition: COMPLETE }]
    - name: once
      image: registry.example/once:1
      essential: false
      memory: 8
      cpu: 1
      entryPoint: [/once]
      secrets:
        - { name: KEY, valueFrom: "arn:aws:ssm:eu-central-1:111122223333:parameter/two" }
      logConfiguration: { logDriver: awslogs, options: { awslogs-group: /ecs/unusual, awslogs-region: eu-central-1, awslogs-stream-prefix: once } }
"#;

fn document(plan: &Plan, path: &str) -> Option<String> {
    let documents = render(plan).into_iter();
    documents
        .filter(|document| document.path == path)
        .map(|document| document.text)
        .next()
}

fn read(plan: &Plan) -> Value {
    let text = document(plan, "compose.yaml").expect("a compose file");
    parse(&Source::new("compose.yaml", text))
        .expect("YAML")
        .to_json()
}

/// Undoes the escaping of `$`: compose reads `$$` as `$`, and `config` escapes it again.
fn unescape(value: &Value) -> String {
    value.as_str().expect("text").replace("$$", "$")
}

/// Returns a map; a field that the file leaves out is an empty one.
fn object(value: &Value) -> BTreeMap<String, Value> {
    if value.is_null() {
        return BTreeMap::new();
    }
    serde_json::from_value(value.clone()).expect("a map")
}

#[test]
fn every_service_matches_its_container() {
    for (name, plan) in plans() {
        let file = read(&plan);
        for container in &plan.definition().container_definitions {
            let service = &file["services"][&container.name];
            let about = format!("{name}: {}\n{service:#}", container.name);
            assert_eq!(unescape(&service["image"]), container.image, "{about}");
            assert_eq!(texts(&service["command"]), container.command, "{about}");
            assert_eq!(
                texts(&service["entrypoint"]),
                container.entry_point,
                "{about}"
            );

            assert_eq!(
                service["user"].as_str(),
                container.user.as_deref(),
                "{about}"
            );
            assert_eq!(
                service["read_only"].as_bool(),
                container.readonly_root_filesystem,
                "{about}"
            );

            // 30 seconds is the default of Fargate; compose would use 10.
            let stop = container.stop_timeout.unwrap_or(30);
            assert_eq!(service["stop_grace_period"], format!("{stop}s"), "{about}");
            let memory = container.memory.map(|memory| format!("{memory}m"));
            assert_eq!(service["mem_limit"].as_str(), memory.as_deref(), "{about}");

            // Docker accepts no fewer than 2 CPU shares.
            let shares = container.cpu.map(|cpu| u64::from(cpu.max(2)));
            assert_eq!(service["cpu_shares"].as_u64(), shares, "{about}");
            assert_eq!(environment(service), variables(container), "{about}");
            assert_eq!(order(service), dependencies(container), "{about}");
            assert_eq!(service["healthcheck"], check(container), "{about}");
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .map(unescape)
        .collect()
}

/// Returns the variables of a service: plain ones with their value, secrets without.
fn environment(service: &Value) -> BTreeMap<String, Option<String>> {
    let all = object(&service["environment"]).into_iter();
    let assigned = all.filter(|(_, value)| !value.is_null());
    assigned
        .map(|(name, value)| {
            let text = value.as_str().expect("text").to_owned();
            // `${NAME:?}` makes compose fail if the variable is not set.
            let is_required = text.starts_with("${") && text.contains(":?");
            (name, (!is_required).then(|| text.replace("$$", "$")))
        })
        .collect()
}

fn variables(container: &ContainerDefinition) -> BTreeMap<String, Option<String>> {
    let plain = container
        .environment
        .iter()
        .map(|variable| (variable.name.clone(), Some(variable.value.clone())));
    plain
        .chain(
            container
                .secrets
                .iter()
                .map(|secret| (secret.name.clone(), None)),
        )
        .collect()
}

fn order(service: &Value) -> BTreeMap<String, (Value, bool)> {
    let edges = service["depends_on"].as_object().into_iter().flatten();
    let edges = edges.map(|(name, edge)| {
        let required = edge["required"].as_bool().unwrap_or(true);
        (name.clone(), (edge["condition"].clone(), required))
    });
    edges.collect()
}

fn dependencies(container: &ContainerDefinition) -> BTreeMap<String, (Value, bool)> {
    let edges = container.depends_on.iter().map(|edge| {
        let (condition, required) = match edge.condition {
            Condition::Start => ("service_started", true),
            Condition::Healthy => ("service_healthy", true),
            Condition::Success => ("service_completed_successfully", true),
            // Compose has no condition for an end with any exit code; `required: false` comes closest.
            Condition::Complete => ("service_completed_successfully", false),
        };
        (edge.container_name.clone(), (json!(condition), required))
    });
    edges.collect()
}

/// Returns the health check that a container should have in compose, with ECS's defaults.
fn check(container: &ContainerDefinition) -> Value {
    container
        .health_check
        .as_ref()
        .map_or(Value::Null, |check| {
            let test: Vec<String> = check
                .command
                .iter()
                .map(|word| word.replace('$', "$$"))
                .collect();
            json!({
                "test": test,
                "interval": format!("{}s", check.interval.unwrap_or(30)),
                "timeout": format!("{}s", check.timeout.unwrap_or(5)),
                "retries": check.retries.unwrap_or(3),
                "start_period": format!("{}s", check.start_period.unwrap_or(0)),
            })
        })
}

#[test]
fn the_network_service_publishes_all_ports_and_the_others_join_it() {
    for (name, plan) in plans() {
        let services = object(&read(&plan)["services"]);
        let containers = &plan.definition().container_definitions;
        // One service for each container, and `network`.
        assert_eq!(services.len(), containers.len() + 1, "{name}");

        for container in containers {
            assert_eq!(
                services[&container.name]["network_mode"], "service:network",
                "{name}"
            );
            assert!(services[&container.name]["ports"].is_null(), "{name}");
        }

        let mapped = containers
            .iter()
            .flat_map(|container| &container.port_mappings);
        let mapped = mapped.filter_map(|mapping| mapping.container_port);
        let expected: Vec<String> = mapped
            .map(|port| format!("127.0.0.1:{port}:{port}/tcp"))
            .collect();
        assert_eq!(texts(&services["network"]["ports"]), expected, "{name}");
    }
}

#[test]
fn the_env_example_lists_exactly_the_required_secrets() {
    for (name, plan) in plans() {
        let text = document(&plan, "compose.yaml").expect("a compose file");
        let required = text
            .split("${")
            .skip(1)
            .filter_map(|rest| Some(rest.split_once(":?")?.0.to_owned()));
        // `UNUSUAL` has an escaped `$${…}`, which is not a reference.
        let mut required: Vec<String> = required.filter(|name| !name.contains('}')).collect();
        let example = document(&plan, ".env.example").unwrap_or_default();
        let listed = example.lines().filter(|line| !line.starts_with('#'));
        let mut listed: Vec<String> = listed
            .filter_map(|line| Some(line.split_once('=')?.0.to_owned()))
            .collect();

        required.sort();
        required.dedup();
        listed.sort();
        assert_eq!(listed, required, "{name}");
    }
}

#[test]
fn the_header_lists_only_differences_that_apply_to_the_task() {
    for (name, plan) in plans() {
        let text = document(&plan, "compose.yaml").expect("a compose file");
        let mentions = |topic: &str| {
            text.lines()
                .any(|line| line.starts_with(&format!("# - {topic}:")))
        };
        let any = |predicate: fn(&ContainerDefinition) -> bool| {
            plan.definition()
                .container_definitions
                .iter()
                .any(predicate)
        };

        assert!(
            mentions("Essential") && mentions("Stop order") && mentions("Size"),
            "{name}\n{text}"
        );
        assert_eq!(
            mentions("Health"),
            any(|container| container.health_check.is_some()),
            "{name}"
        );

        assert_eq!(
            mentions("Log router"),
            any(|container| container.firelens_configuration.is_some()),
            "{name}"
        );
        assert_eq!(
            mentions("Permissions"),
            plan.definition().task_role_arn.is_some(),
            "{name}"
        );

        assert_eq!(
            text.contains("# - startTimeout"),
            any(|container| container.start_timeout.is_some()),
            "{name}"
        );
    }
}

#[test]
fn secrets_of_the_same_name_in_two_containers_stay_separate() {
    let (_, unusual) = plans().pop().expect("the last plan");
    let example = document(&unusual, ".env.example").expect("an example");
    assert!(
        // Both containers have a secret `KEY`, with different ARNs.
        example.contains("\nCOINS_KEY=\n") && example.contains("\nONCE_KEY=\n"),
        "{example}"
    );
}

/// Returns `docker-compose` of the tests' venv or of the host.
fn find_compose() -> Option<PathBuf> {
    let own = support::here("../../.venv/bin/docker-compose");
    let found = [own, PathBuf::from("docker-compose")]
        .into_iter()
        .find(|program| {
            let version = Command::new(program).arg("version").output();
            version.is_ok_and(|output| output.status.success())
        });

    if found.is_none() {
        // Not eprintln: libtest captures it, and shows it only for failed tests.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: docker_compose_reads_the_intended_values needs docker-compose 2 or later"
        );
    }

    found
}

#[test]
fn docker_compose_reads_the_intended_values() {
    let Some(compose) = find_compose() else {
        return;
    };
    for (name, plan) in plans() {
        let folder = tempfile::tempdir().expect("a folder");
        for path in ["compose.yaml", ".env.example"] {
            let Some(text) = document(&plan, path) else {
                continue;
            };
            let (path, text) = match path {
                // A secret with characters that quoting and interpolation could change.
                ".env.example" => (".env", text.replace("=\n", "='first\nsecond $1'\n")),
                _ => (path, text),
            };
            fs::write(folder.path().join(path), text).expect("a file");
        }

        // Environment files in S3, which a user copies before starting compose.
        let files = object(&read(&plan)["services"]).into_values();
        for file in files.flat_map(|service| texts(&service["env_file"])) {
            fs::write(folder.path().join(file), "FROM_S3=1\n").expect("a file");
        }

        let read = config(&compose, folder.path(), &name);
        for container in &plan.definition().container_definitions {
            let service = &read["services"][&container.name];
            let about = format!("{name}: {}\n{service:#}", container.name);
            let secret =
                |value: Option<String>| value.unwrap_or_else(|| "first\nsecond $1".to_owned());
            let expected = variables(container)
                .into_iter()
                .map(|(name, value)| (name, secret(value)));
            let expected: BTreeMap<String, String> = expected.collect();
            let found = object(&service["environment"])
                .into_iter()
                .filter(|(name, value)| !value.is_null() && name != "FROM_S3");
            let found: BTreeMap<String, String> = found
                .map(|(name, value)| (name, unescape(&value)))
                .collect();

            assert_eq!(found, expected, "{about}");
            let bytes = container
                .memory
                // `config` prints bytes.
                .map(|memory| (u64::from(memory) << 20).to_string());

            assert_eq!(service["mem_limit"].as_str(), bytes.as_deref(), "{about}");
            // Joining the network of a service implies a dependency on it.
            let mut expected = dependencies(container);
            expected.insert("network".to_owned(), (json!("service_started"), true));
            assert_eq!(order(service), expected, "{about}");
        }
    }
}

fn config(compose: &Path, folder: &Path, name: &str) -> Value {
    let output = Command::new(compose)
        .args(["config", "--format", "json"])
        .current_dir(folder)
        // Variables of the developer must not replace those of the file.
        .env_clear()
        .output()
        .expect("docker-compose runs");
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {warnings}");
    assert_eq!(warnings, "", "{name}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
