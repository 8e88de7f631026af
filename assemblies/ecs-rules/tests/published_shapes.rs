//! Patterns from published task definitions that other tools report incorrectly.

use diagnostics::source::Source;
use ecs_rules::check;
use task_definition::read;

fn ids(text: &str) -> Vec<&'static str> {
    let findings = read(&Source::new("case", text))
        .map_or_else(|findings| findings, |located| check(&located));
    findings.iter().map(|finding| finding.rule).collect()
}

/// Returns a Fargate definition with these fields and container fields.
fn fargate(fields: &str, container: &str) -> String {
    format!(
        r#"{{ "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
          "executionRoleArn": "arn:aws:iam::111122223333:role/x", {fields}
          "containerDefinitions": [{{ "name": "app", "image": "app:1" {container} }}] }}"#
    )
}

const SMALL: &str = r#""cpu": "256", "memory": "512","#;

#[test]
fn accepts_recent_additions_of_the_api() {
    // Each entry was added after many guides and linters were written.
    for (fields, container) in [
        (r#""cpu": "32768", "memory": "249856","#, ""),
        (r#""cpu": "32 vCPU", "memory": "60 GB","#, ""),
        (r#""cpu": ".25 vcpu", "memory": ".5 gb","#, ""),
        (r#""cpu": "256", "memory": "512", "pidMode": "task","#, ""),
        (
            r#""cpu": "256", "memory": "512", "enableFaultInjection": true,"#,
            "",
        ),
        (
            SMALL,
            r#", "linuxParameters": { "tmpfs": [{ "containerPath": "/tmp", "size": 64 }], "initProcessEnabled": true,
                "capabilities": { "add": ["SYS_PTRACE"] } }"#,
        ),
        (
            SMALL,
            r#", "systemControls": [{ "namespace": "net.core.somaxconn", "value": "1024" },
                { "namespace": "kernel.msgmax", "value": "65536" }, { "namespace": "fs.mqueue.msg_max", "value": "10" }]"#,
        ),
        (
            SMALL,
            r#", "ulimits": [{ "name": "memlock", "softLimit": -1, "hardLimit": -1 }]"#,
        ),
        (SMALL, r#", "healthCheck": { "command": ["NONE"] }"#),
        (
            SMALL,
            r#", "versionConsistency": "enabled", "readonlyRootFilesystem": true"#,
        ),
        (
            SMALL,
            r#", "restartPolicy": { "enabled": true, "ignoredExitCodes": [0, 143], "restartAttemptPeriod": 60 }"#,
        ),
    ] {
        assert_eq!(
            ids(&fargate(fields, container)),
            [""; 0],
            "{fields}{container}"
        );
    }
}

#[test]
fn accepts_host_features_on_ec2() {
    for fields in [
        r#""networkMode": "bridge""#,
        r#""networkMode": "host", "pidMode": "host", "ipcMode": "host""#,
        r#""placementConstraints": [{ "type": "memberOf", "expression": "attribute:ecs.os-type == linux" }]"#,
        r#""requiresCompatibilities": ["EXTERNAL"]"#,
        r#""volumes": [{ "name": "d", "host": { "sourcePath": "/d" } },
            { "name": "e", "dockerVolumeConfiguration": { "scope": "task", "driver": "local" } }]"#,
    ] {
        // Each volume is mounted at its name.
        let mount =
            |name: &str| format!(r#"{{ "sourceVolume": "{name}", "containerPath": "/{name}" }}"#);
        let mounts = if fields.contains("volumes") {
            format!("{}, {}", mount("d"), mount("e"))
        } else {
            String::new()
        };
        let text = format!(
            r#"{{ "family": "agent", {fields}, "containerDefinitions": [
              {{ "name": "agent", "image": "agent:1", "memory": 128, "privileged": true,
                 "mountPoints": [{mounts}],
                 "linuxParameters": {{ "capabilities": {{ "add": ["NET_ADMIN"] }}, "sharedMemorySize": 64 }} }}] }}"#
        );
        assert_eq!(ids(&text), [""; 0], "{fields}");
    }
}

#[test]
fn rejects_bridge_network_features_with_awsvpc_on_ec2() {
    let text = |mode: &str| {
        format!(
            r#"{{ "family": "web", "networkMode": "{mode}", "containerDefinitions": [
              {{ "name": "app", "image": "app:1", "memory": 128, "hostname": "app", "dnsServers": ["10.0.0.2"],
                 "extraHosts": [{{ "hostname": "db", "ipAddress": "10.0.0.3" }}] }}] }}"#
        )
    };
    assert_eq!(ids(&text("bridge")), [""; 0]);
    assert_eq!(ids(&text("awsvpc")), ["X01", "X01"]);
}

#[test]
fn reports_a_fragment_of_a_definition_once() {
    // Documentation often shows a container without its name, image and task.
    let text = r#"{ "containerDefinitions": [{
      "secrets": [{ "name": "KEY", "valueFrom": "arn:aws:ssm:eu-central-1:111122223333:parameter/key" }],
      "logConfiguration": { "logDriver": "awsfirelens" } }] }"#;
    assert_eq!(ids(text), ["T01"]);
    let whole = r#"{ "containerDefinitions": [{ "name": "app", "memory": 8 }] }"#;
    assert_eq!(ids(whole), ["T01", "C03"]);
}

#[test]
fn accepts_a_log_router_and_a_proxy_beside_an_app() {
    let text = r#"{ "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc",
      "cpu": "256", "memory": "512", "taskRoleArn": "arn:aws:iam::111122223333:role/t",
      "executionRoleArn": "arn:aws:iam::111122223333:role/x", "containerDefinitions": [
      { "name": "router", "image": "aws-for-fluent-bit:3.0.0", "firelensConfiguration": { "type": "fluentbit",
          "options": { "enable-ecs-log-metadata": "true" } } },
      { "name": "proxy", "image": "nginx:1.29", "portMappings": [{ "containerPort": 80 }],
        "dependsOn": [{ "containerName": "app", "condition": "START" }],
        "environment": [{ "name": "API_UPSTREAM", "value": "http://localhost:8080/" }],
        "logConfiguration": { "logDriver": "awsfirelens", "options": { "Name": "firehose", "region": "eu-central-1" } } },
      { "name": "app", "image": "app:1", "environment": [{ "name": "PORT", "value": "8080" },
          { "name": "REDIS_URL", "value": "redis://cache.internal:6379" }],
        "command": ["sh", "-c", "exec /app"],
        "logConfiguration": { "logDriver": "awsfirelens", "options": { "Name": "firehose", "region": "eu-central-1" } } }] }"#;

    assert_eq!(ids(text), [""; 0]);
    // Firehose is called with the task role.
    let without_role = text.replace(r#""taskRoleArn": "arn:aws:iam::111122223333:role/t","#, "");
    assert_eq!(ids(&without_role), ["T17"]);
}

#[test]
fn reports_a_misspelling_a_placeholder_and_a_wrong_type_together() {
    let text = r#"{ "family": "{{name}}", "cpu": 256, "containerDefinitions": [
      { "name": "app", "image": "app:1", "memry": 8, "memory": "<memory>" }] }"#;
    assert_eq!(ids(text), ["C06", "C05", "Y03"]);
}
