//! Plans with a lock: digests replace tags, wherever the image comes from.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use assembly::lock::{LABEL, LockedImage};
use assembly::{Lock, LockMode, Plan, plan};
use diagnostics::source::Source;
use diagnostics::{Finding, Severity};

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
fn replaces_a_tag_by_a_digest_and_keeps_it_as_a_label() {
    let plan = plan_with_lock(PLAIN, &lock(&["web:1"]), LockMode::Required).expect("a plan");
    let web = &plan.definition().container_definitions[0];
    assert_eq!(web.image, format!("web@{DIGEST}"));
    assert_eq!(web.docker_labels[LABEL], "1");
    assert_eq!(plan.warnings(), []);
}

#[test]
fn locks_images_of_overrides_and_patches() {
    let manifest = format!(
        "{PLAIN}overrides:\n  web: {{ image: 'host:5000/mine:2' }}\npatch:\n  cpu: '512'\n  memory: '1024'\n  containerDefinitions:\n  - {{ name: more, image: other, memory: 32, cpu: 1, essential: false, dependsOn: [{{ containerName: web, condition: START }}] }}\n"
    );
    let lock = lock(&["host:5000/mine:2", "other"]);
    let plan = plan_with_lock(&manifest, &lock, LockMode::Required)
        .map_err(|findings| support::format_findings(&findings))
        .expect("a plan");
    let containers = &plan.definition().container_definitions;

    assert_eq!(containers[0].image, format!("host:5000/mine@{DIGEST}"));
    assert_eq!(containers[1].image, format!("other@{DIGEST}"));
    // A reference without a tag means `latest`.
    assert_eq!(containers[1].docker_labels[LABEL], "latest");

    // C04 reports `latest`, which the digest has replaced.
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
fn without_a_lock_nothing_changes_unless_everything_must_be_locked() {
    let plan = plan_with_lock(PLAIN, &Lock::default(), LockMode::BestEffort).expect("a plan");
    assert_eq!(plan.definition().container_definitions[0].image, "web:1");
    assert_eq!(plan.warnings(), []);
    let findings =
        plan_with_lock(PLAIN, &Lock::default(), LockMode::Required).expect_err("findings");
    assert_eq!(findings[0].rule, "M50");
}

#[test]
fn a_missing_image_is_a_warning_unless_everything_must_be_locked() {
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
fn reports_malformed_entries_with_their_location() {
    let text = "lock: 1\nimages:\n  'web@x': { digest: sha256:1 }\n  web:2: { digest: SHA }\n";
    let findings = Lock::read(&Source::new("lock.yaml", text)).expect_err("findings");
    let text = support::format_findings(&findings);
    // The first entry has two faults: no tag, and a short digest.
    assert_eq!(findings.len(), 3, "{text}");
    assert!(
        findings.iter().all(|finding| finding.rule == "M52"),
        "{text}"
    );
    assert!(text.contains("lock.yaml:4:20"), "{text}");
}

#[test]
fn rejects_an_image_for_another_platform() {
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
    // The same image fits a task for ARM64.
    let arm = format!("{PLAIN}size: {{ architecture: ARM64 }}\n");
    assert!(plan_with_lock(&arm, &lock, LockMode::Required).is_ok());
}
