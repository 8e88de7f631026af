//! Any bytes as a task definition: parsed, checked, rendered, and parsed again with the same result.
#![no_main]

use libfuzzer_sys::fuzz_target;
use diagnostics::source::Source;
use diagnostics::{Color, Location};
use ecs_rules::check;
use task_definition::{normalise, read};

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let source = Source::new("fuzz.yaml", text);
    let findings = match read(&source) {
        Ok(located) => {
            let again = Source::new("again.json", located.definition.to_json());
            let again = read(&again).expect("serialized definitions can be parsed");
            assert_eq!(normalise(&again.definition), normalise(&located.definition));
            check(&located)
        }
        Err(findings) => {
            assert!(!findings.is_empty(), "rejected without a finding");
            findings
        }
    };
    // A location must be inside the text, and a rendered finding bounded, however long a line is.
    let lines = source.text.split('\n').count();
    for finding in findings {
        let drawn = finding.render(Color::Yes);
        assert!(drawn.len() < 100_000, "a finding of {} bytes", drawn.len());
        if let Location::Text { line, .. } = finding.location {
            assert!(line <= lines, "line {line} of {lines}");
        }
    }
});
