//! Any bytes as a `component.yaml`; an accepted one can be planned and rendered.
#![no_main]

use assembly::component::Component;
use assembly::{Catalog, Values, plan, render};
use libfuzzer_sys::fuzz_target;
use diagnostics::Color;
use diagnostics::source::Source;

fuzz_target!(|bytes: &[u8]| {
    let source = Source::new("fuzz.yaml", String::from_utf8_lossy(bytes));
    let component = match Component::read(&source) {
        Ok(component) => component,
        Err(findings) => {
            assert!(!findings.is_empty(), "rejected without a finding");
            findings.iter().for_each(|finding| drop(finding.render(Color::No)));
            return;
        }
    };
    // The smallest assembly with the component as its app.
    let manifest = format!("name: shop\napp: {}\nservice: {{}}\n", component.name());
    let values = Values::default().with("account", "111122223333").with("region", "eu-central-1");
    let planned = plan(&Source::new("shop.yaml", manifest), &Catalog::read(&[source]), &values);
    if let Ok(plan) = planned {
        assert!(!render(&plan).is_empty());
    }
});
