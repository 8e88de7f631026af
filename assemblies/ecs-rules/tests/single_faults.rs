//! Single faults, one value each, in a definition and a service that are valid without them.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use diagnostics::source::Source;
use ecs_rules::inputs::check_input;
use serde_json::{Value, json};

fn definition() -> Value {
    json!({
        "family": "web",
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "512",
        "memory": "1024",
        "executionRoleArn": "arn:aws:iam::111122223333:role/execution",
        "taskRoleArn": "arn:aws:iam::111122223333:role/task",
        "containerDefinitions": [{
            "name": "app",
            "image": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/app:1.4.2",
            "portMappings": [{ "containerPort": 8080, "name": "web" }],
            "logConfiguration": { "logDriver": "awslogs", "options": {
                "awslogs-group": "/ecs/web",
                "awslogs-region": "eu-central-1",
                "awslogs-stream-prefix": "web"
            } }
        }]
    })
}

fn service() -> Value {
    json!({
        "serviceName": "web",
        "taskDefinition": "web",
        "desiredCount": 2,
        "launchType": "FARGATE",
        "networkConfiguration": { "awsvpcConfiguration": { "subnets": ["subnet-1"] } },
        "loadBalancers": [{
            "targetGroupArn": TARGET_GROUP,
            "containerName": "app",
            "containerPort": 8080
        }],
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": { "enable": true, "rollback": true }
        }
    })
}

const TARGET_GROUP: &str =
    "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/web/0123456789abcdef";

/// Sets the value at a pointer; null removes it.
fn set(document: &mut Value, pointer: &str, value: Value) {
    let (enclosing, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(enclosing).unwrap() {
        Value::Array(items) => items.push(value),
        Value::Object(entries) if value.is_null() => drop(entries.remove(key)),
        other => other[key] = value,
    }
}

fn rules_of(document: &Value) -> Vec<&'static str> {
    let found = check_input(&Source::new("case.json", document.to_string()));
    found.iter().map(|finding| finding.rule).collect()
}

/// Checks the definition with one other value of its container.
fn with_container(field: &str, value: Value) -> Vec<&'static str> {
    let mut document = definition();
    let pointer = format!("/containerDefinitions/0/{field}");
    set(&mut document, &pointer, value);
    rules_of(&document)
}

/// Checks the service, beside the definition, with other values.
fn with_service(changes: &[(&str, Value)]) -> Vec<&'static str> {
    let mut document = json!({ "taskDefinition": definition(), "service": service() });
    for (pointer, value) in changes {
        set(&mut document, pointer, value.clone());
    }
    rules_of(&document)
}

#[test]
fn the_documents_without_a_fault_are_valid() {
    assert!(rules_of(&definition()).is_empty());
    assert!(with_service(&[]).is_empty());
}

#[test]
fn finds_faults_of_images_and_commands() {
    let split = json!(["sh -c", "serve"]);
    for (field, value, expected) in [
        ("image", json!("registry.example:port/app:1"), "C03"),
        ("image", json!("registry.example:99999/app:1"), "C03"),
        (
            "image",
            json!("111122223333.dkr.ecr.eu-central-1.amazonaws.com:1"),
            "C03",
        ),
        (
            "image",
            json!("11112222333.dkr.ecr.eu-central-1.amazonaws.com/app:1"),
            "C03",
        ),
        (
            "image",
            json!("111122223333.dkr.ecr.amazonaws.com/app:1"),
            "C03",
        ),
        ("command", split, "C18"),
        ("command", json!(["sh", "-c"]), "C19"),
        ("entryPoint", json!(["/bin/sh", "-c"]), "C19"),
        ("entryPoint", json!([" /app"]), "C20"),
        ("entryPoint", json!(["."]), "C20"),
        ("entryPoint", json!(["~/app"]), "C21"),
        ("command", json!(["migrate", "&&", "serve"]), "C21"),
        ("command", json!(["serve", ">", "/log"]), "C21"),
        ("command", json!(["serve", "$PORT"]), "C21"),
        ("command", json!(["'serve'"]), "C21"),
    ] {
        assert_eq!(with_container(field, value.clone()), [expected], "{value}");
    }

    for value in [
        json!(["sh", "-c", "exec serve > /log"]),
        json!(["serve", "--filter", "a > b"]),
        json!(["grep", "a|b", "$"]),
        json!(["serve", "a;b"]),
    ] {
        assert!(
            with_container("command", value.clone()).is_empty(),
            "{value}"
        );
    }
}

#[test]
fn finds_faults_of_variables_and_secrets() {
    for name in ["A B", "A ", "$A", "A\n"] {
        let value = json!([{ "name": name, "value": "1" }]);
        assert_eq!(with_container("environment", value), ["C16"], "{name}");
    }
    for value in [
        "jdbc:postgresql://db/app?user=app&password=geheim",
        "https://api.example/v1?token=abcdef",
        "Server=db;User Id=sa;Password=geheim;",
        "host=db user=app password=geheim",
        "https://ghp_0123456789abcdef@github.com/team/app",
    ] {
        let value = json!([{ "name": "SOURCE", "value": value }]);
        assert_eq!(
            with_container("environment", value.clone()),
            ["C17"],
            "{value}"
        );
    }
    for value in [
        "https://api.example/v1?page=2&sort=password",
        "jdbc:postgresql://db/app?password=${PASSWORD}",
        "password=geheim",
        "a=1;b=2",
    ] {
        let value = json!([{ "name": "SOURCE", "value": value }]);
        assert!(
            with_container("environment", value.clone()).is_empty(),
            "{value}"
        );
    }
    for name in ["/prod/db/", "//prod"] {
        let value = json!([{ "name": "DB", "valueFrom": name }]);
        assert_eq!(with_container("secrets", value), ["S01"], "{name}");
    }
}

#[test]
fn finds_faults_of_logs_and_health_checks() {
    let option = "logConfiguration/options/awslogs-";
    for (name, value, expected) in [
        ("stream-prefix", "a:b", "L10"),
        ("stream-prefix", "", "L10"),
        ("region", "eu-centrl-1", "L10"),
    ] {
        let found = with_container(&format!("{option}{name}"), json!(value));
        assert_eq!(found, [expected], "{name}: {value}");
    }

    for (image, line, expected) in [
        ("postgres:16", "curl -f http://localhost/", &["H07"][..]),
        ("envoyproxy/envoy:v1.31.0", "curl localhost:9901", &["H07"]),
        (
            "mcr.microsoft.com/dotnet/aspnet:8.0",
            "curl localhost",
            &["H07"],
        ),
        ("mcr.microsoft.com/dotnet/aspnet:6.0", "curl localhost", &[]),
        ("nginx:1.27-alpine", "curl localhost", &[]),
        ("nginx:1.27-alpine", "bash -c true", &["H07"]),
        ("eclipse-temurin:21-jre-alpine", "curl localhost", &["H07"]),
        ("amazoncorretto:21", "wget localhost", &["H07"]),
    ] {
        let mut document = definition();
        set(&mut document, "/containerDefinitions/0/image", json!(image));
        let check = json!({ "command": ["CMD-SHELL", line] });
        set(&mut document, "/containerDefinitions/0/healthCheck", check);
        assert_eq!(rules_of(&document), expected, "{image}: {line}");
    }
}

#[test]
fn finds_faults_of_the_log_router() {
    let router = |options: Value, output: &str| {
        let mut document = definition();
        let firelens = json!({ "type": "fluentbit", "options": options });
        let more =
            json!({ "name": "router", "image": "fluent-bit:1", "firelensConfiguration": firelens });
        set(&mut document, "/containerDefinitions/1", more);
        let log = json!({ "logDriver": "awsfirelens", "options": { "Name": output } });
        set(
            &mut document,
            "/containerDefinitions/0/logConfiguration",
            log,
        );
        rules_of(&document)
    };
    let own = json!({ "config-file-type": "file",
        "config-file-value": "/fluent-bit/etc/fluent-bit.conf" });

    assert!(router(json!({}), "http").is_empty());
    assert_eq!(router(json!({}), ""), ["L11"]);
    assert_eq!(router(json!({}), "clodwatch_logs"), ["L11"]);
    assert_eq!(
        router(json!({ "enable-ecs-log-metadata": "yes" }), "http"),
        ["L08"]
    );
    assert_eq!(router(own, "http"), ["L08"]);
}

#[test]
fn finds_faults_of_volumes() {
    let efs = |port: u32, id: &str| json!({ "fileSystemId": id, "transitEncryption": "ENABLED", "transitEncryptionPort": port });
    let first = "fs-0123456789abcdef0";
    let bucket = json!({ "fileSystemArn": "arn:aws:s3:::bucket" });
    for (volumes, expected) in [
        (json!([{ "name": "a" }]), &[][..]),
        (json!([{ "name": "a" }, { "name": "b" }]), &["V12"]),
        (
            json!([{ "name": "a", "s3filesVolumeConfiguration": bucket }]),
            &["V07"],
        ),
        (
            json!([{ "name": "a", "efsVolumeConfiguration": { "fileSystemId": first, "rootDirectory": "data" } }]),
            &["V10"],
        ),
        (
            json!([{ "name": "a", "efsVolumeConfiguration": efs(2999, first),
              "s3filesVolumeConfiguration": {
                "fileSystemArn": "arn:aws:s3files:eu-central-1:111122223333:file-system/fs-01" } }]),
            &["V05"],
        ),
    ] {
        let mut document = definition();
        let mounts = json!([{ "sourceVolume": "a", "containerPath": "/a" }]);
        set(&mut document, "/volumes", volumes.clone());
        set(&mut document, "/containerDefinitions/0/mountPoints", mounts);
        assert_eq!(rules_of(&document), expected, "{volumes}");
    }

    let mut document = definition();
    let volumes = json!([{ "name": "a", "efsVolumeConfiguration": efs(2999, first) },
      { "name": "b", "efsVolumeConfiguration": efs(2999, "fs-1123456789abcdef0") }]);
    let mounts = json!([{ "sourceVolume": "a", "containerPath": "/a" },
      { "sourceVolume": "b", "containerPath": "/b" }]);
    set(&mut document, "/volumes", volumes);
    set(&mut document, "/containerDefinitions/0/mountPoints", mounts);
    assert_eq!(rules_of(&document), ["V10"]);
}

#[test]
fn finds_faults_of_names_networks_and_targets() {
    let group = "/service/loadBalancers/0/targetGroupArn";
    let registry = "/service/serviceRegistries";
    let namespace = "arn:aws:servicediscovery:eu-central-1:111122223333:namespace/ns-1";
    let cloud_map = "arn:aws:servicediscovery:eu-central-1:111122223333:service/srv-1";
    let network = "/service/networkConfiguration/awsvpcConfiguration";
    for (pointer, value, expected) in [
        (
            "/service/serviceName".to_owned(),
            json!("my service"),
            "Q23",
        ),
        (
            "/service/taskDefinition".to_owned(),
            json!("web:latest"),
            "Q23",
        ),
        ("/service/role".to_owned(), json!("ecsServiceRole"), "Q23"),
        (format!("{network}/subnets"), json!(["vpc-1"]), "Q04"),
        (
            format!("{network}/subnets"),
            json!(["subnet-1", "subnet-1"]),
            "Q04",
        ),
        (
            format!("{network}/securityGroups"),
            json!(["my-group"]),
            "Q04",
        ),
        (group.to_owned(), Value::Null, "Q18"),
        (
            group.to_owned(),
            json!("arn:aws:vpc-lattice:eu-central-1:111122223333:targetgroup/tg-1"),
            "Q18",
        ),
        (
            "/service/loadBalancers/0/containerName".to_owned(),
            Value::Null,
            "Q18",
        ),
        (
            "/service/loadBalancers/0/containerPort".to_owned(),
            Value::Null,
            "Q18",
        ),
        (
            "/service/loadBalancers/0/loadBalancerName".to_owned(),
            json!("web"),
            "Q18",
        ),
        (
            registry.to_owned(),
            json!([{ "registryArn": namespace }]),
            "Q25",
        ),
        (
            registry.to_owned(),
            json!([{ "registryArn": cloud_map }, { "registryArn": cloud_map }]),
            "Q25",
        ),
        (
            registry.to_owned(),
            json!([{ "registryArn": cloud_map, "port": 1, "containerName": "app", "containerPort": 8080 }]),
            "Q25",
        ),
        ("/service/platformVersion".to_owned(), json!("1.3.0"), "Q19"),
    ] {
        // Exec needs the newer version.
        let exec = expected == "Q19";
        let changes = [
            (pointer.as_str(), value.clone()),
            ("/service/enableExecuteCommand", json!(exec)),
        ];
        assert_eq!(with_service(&changes), [expected], "{pointer}: {value}");
    }
}

#[test]
fn finds_faults_of_strategies_and_controllers() {
    let strategy = |items: Value| {
        with_service(&[
            ("/service/launchType", Value::Null),
            ("/service/capacityProviderStrategy", items),
        ])
    };
    let twice = json!([{ "capacityProvider": "FARGATE", "weight": 1 },
      { "capacityProvider": "FARGATE", "weight": 2 }]);
    assert_eq!(strategy(twice), ["Q21"]);
    assert_eq!(
        strategy(json!([{ "capacityProvider": "fargate", "weight": 1 }])),
        ["Q21"]
    );

    let deployment = "/service/deploymentConfiguration";
    let code_deploy = (
        "/service/deploymentController",
        json!({ "type": "CODE_DEPLOY" }),
    );
    let alarms = json!({ "alarms": { "alarmNames": ["a"], "enable": true, "rollback": true } });
    let both = json!({ "maximumPercent": 100, "minimumHealthyPercent": 100,
      "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
    assert_eq!(
        with_service(&[code_deploy.clone(), (deployment, alarms)]),
        ["Q22"]
    );
    assert_eq!(with_service(&[(deployment, both.clone())]), ["Q10"]);

    let rebalancing = ("/service/availabilityZoneRebalancing", json!("ENABLED"));
    let most = json!({ "maximumPercent": 100, "minimumHealthyPercent": 50,
      "deploymentCircuitBreaker": { "enable": true, "rollback": true } });
    assert_eq!(with_service(&[rebalancing, (deployment, most)]), ["Q24"]);
    assert_eq!(
        with_service(&[("/service/launchType", json!("MANAGED_INSTANCES"))]),
        ["Q02"]
    );
}
