//! Any bytes as a manifest, as values and as a lock file; a plan can always be rendered.
#![no_main]

use std::sync::LazyLock;

use assembly::{Catalog, Lock, Values, plan, render};
use libfuzzer_sys::fuzz_target;
use diagnostics::Color;
use diagnostics::source::Source;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    Catalog::read(&[
        Source::new("web.yaml", include_str!("../../../assemblies/assembly/tests/rule-catalog/web.yaml")),
        Source::new("tls.yaml", include_str!("../../../assemblies/assembly/tests/rule-catalog/tls.yaml")),
        Source::new("otel.yaml", include_str!("../../../assemblies/assembly/tests/rule-catalog/otel.yaml")),
        Source::new("batch.yaml", include_str!("../../../assemblies/assembly/tests/rule-catalog/batch.yaml")),
    ])
});

fuzz_target!(|bytes: &[u8]| {
    let source = Source::new("fuzz.yaml", String::from_utf8_lossy(bytes));
    let values = [("account", "111122223333"), ("region", "eu-central-1"), ("registry", "r.example"), ("version", "1")];
    let with = |values: Values, (name, text): (&str, &str)| values.with(name, text);
    let values = values.into_iter().fold(Values::default(), with);
    match plan(&source, &CATALOG, &values) {
        Ok(plan) => assert!(!render(&plan).is_empty()),
        Err(findings) => {
            assert!(!findings.is_empty(), "rejected without a finding");
            findings.iter().for_each(|finding| drop(finding.render(Color::No)));
        }
    }
    // The same bytes as the other kinds of file.
    let _ = Values::read(&source);
    if let Ok(lock) = Lock::read(&source) {
        let again = Source::new("again.yaml", lock.to_yaml());
        assert!(Lock::read(&again).is_ok(), "{}", again.text);
    }
});
