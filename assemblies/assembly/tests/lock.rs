//! Plans with a lock: digests in the place of tags, wherever the image was named.

#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use assembly::lock::{LABEL, LockedImage};
use assembly::{Lock, LockMode, Plan, plan};
use task_definition::source::Source;
use task_definition::{Finding, Severity};

mod support;

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const PLAIN: &str = "name: shop\napp: web\nservice: {}\n";

fn plan_with_lock(manifest: &str, lock: &Lock, mode: LockMode) -> Result<Plan, Vec<Finding>> {
    let manifest = Source::new("shop.yaml", manifest);
    let catalog = support::catalog("tests/rule-catalog");
    let lock = lock.clone().with_mode(mode);
    plan(&manifest, &catalog, &support::values().with_lock(lock))
}

fn lock(images: &[&str]) -> Lock {
    let entries = images
        .iter()
        .map(|image| format!("  '{image}': {{ digest: '{DIGEST}' }}\n"));
    let text = format!("lock: 1\nimages:\n{}", entries.collect::<String>());
    Lock::read(&Source::new("locks/example.yaml", text)).expect("a lock")
}

#[test]
fn a_tag_becomes_a_digest_and_stays_behind_as_a_label() {
    let plan = plan_with_lock(PLAIN, &lock(&["web:1"]), LockMode::Required).expect("a plan");
    let web = &plan.definition().container_definitions[0];
    assert_eq!(web.image, format!("web@{DIGEST}"));
    assert_eq!(web.docker_labels[LABEL], "1");
    assert_eq!(plan.warnings(), []);
}

#[test]
fn an_image_of_an_override_or_a_patch_is_locked_like_any_other() {
    let manifest = format!(
        "{PLAIN}overrides:\n  web: {{ image: 'host:5000/mine:2' }}\npatch:\n  cpu: '512'\n  memory: '1024'\n  containerDefinitions:\n  - {{ name: more, image: other, memory: 32, cpu: 1, essential: false, dependsOn: [{{ containerName: web, condition: START }}] }}\n"
    );
    let lock = lock(&["host:5000/mine:2", "other"]);
    let plan = plan_with_lock(&manifest, &lock, LockMode::Required)
        .map_err(|findings| support::told(&findings))
        .expect("a plan");
    let containers = &plan.definition().container_definitions;

    assert_eq!(containers[0].image, format!("host:5000/mine@{DIGEST}"));
    assert_eq!(containers[1].image, format!("other@{DIGEST}"));
    assert_eq!(containers[1].docker_labels[LABEL], "latest");

    // C04 warns of `latest`; there is none any more.
    assert!(plan.warnings().iter().all(|finding| finding.rule != "C04"));
}

#[test]
fn an_image_with_a_digest_needs_no_lock() {
    let manifest = format!("{PLAIN}overrides:\n  web: {{ image: 'web@{DIGEST}' }}\n");
    let plan = plan_with_lock(&manifest, &Lock::default(), LockMode::Required).expect("a plan");
    assert!(
        plan.definition().container_definitions[0]
            .docker_labels
            .is_empty()
    );
}

#[test]
fn nothing_changes_and_nothing_is_said_where_there_is_no_lock() {
    let plan = plan_with_lock(PLAIN, &Lock::default(), LockMode::BestEffort).expect("a plan");
    assert_eq!(plan.definition().container_definitions[0].image, "web:1");
    assert_eq!(plan.warnings(), []);
    let findings =
        plan_with_lock(PLAIN, &Lock::default(), LockMode::Required).expect_err("findings");
    assert_eq!(findings[0].rule, "M50");
}

#[test]
fn a_lock_of_something_else_is_a_warning_until_everything_must_be_locked() {
    for (image, rule) in [("other:1", "M50"), ("web:0", "M51")] {
        let lock = lock(&[image]);
        let plan = plan_with_lock(PLAIN, &lock, LockMode::BestEffort).expect("a plan");
        let warnings = plan.warnings();
        assert_eq!(
            (warnings[0].rule, warnings[0].severity),
            (rule, Severity::Warning)
        );

        let findings = plan_with_lock(PLAIN, &lock, LockMode::Required).expect_err("findings");
        assert_eq!(
            (findings[0].rule, findings[0].severity),
            (rule, Severity::Error)
        );
    }
}

#[test]
fn what_only_a_hand_can_have_written_is_found_with_its_line() {
    let text = "lock: 1\nimages:\n  'web@x': { digest: sha256:1 }\n  web:2: { digest: SHA }\n";
    let findings = Lock::read(&Source::new("lock.yaml", text)).expect_err("findings");
    let told = support::told(&findings);
    assert_eq!(findings.len(), 3, "{told}");
    assert!(
        findings.iter().all(|finding| finding.rule == "M52"),
        "{told}"
    );
    assert!(told.contains("lock.yaml:4:20"), "{told}");
}

#[test]
fn an_image_that_does_not_run_where_the_task_does_is_refused() {
    let mut lock = Lock::default();
    lock.insert(
        "web:1",
        LockedImage {
            digest: DIGEST.to_owned(),
            platforms: vec!["linux/arm64".to_owned()],
        },
    );

    let findings = plan_with_lock(PLAIN, &lock, LockMode::BestEffort).expect_err("findings");
    assert_eq!(findings[0].rule, "M52");
    let arm = format!("{PLAIN}size: {{ architecture: ARM64 }}\n");
    assert!(plan_with_lock(&arm, &lock, LockMode::Required).is_ok());
}
