//! Text and Mermaid diagrams: golden files, and diagrams of published definitions.
//!
//! `BLESS=1 cargo test -p assembly --test graph` writes the current output; review it before you commit it.

#![allow(clippy::expect_used, reason = "a panic fails the test")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use assembly::graph::{Charset, Diagram, mermaid, svg, text};
use assembly::plan;
use diagnostics::source::Source;

mod support;

/// The diagram of a golden case.
fn case(name: &str) -> Diagram {
    let file = support::here("tests/cases")
        .join(name)
        .join("assembly.yaml");
    let plan = plan(
        &support::source(&file, "assembly.yaml"),
        &support::catalog("tests/catalog"),
        &support::values(),
    );

    Diagram::from(
        &plan
            .map_err(|findings| support::format_findings(&findings))
            .expect("a plan"),
    )
}

fn definition(text: &str) -> Diagram {
    let located = task_definition::read(&Source::new("task.json", text))
        .map_err(|findings| support::format_findings(&findings));
    Diagram::from(&located.expect("a definition").definition)
}

/// Has what no assembly has: a program that runs first, a dependency on a health check, and a long name.
const PLAIN: &str = r#"{ "family": "shop", "cpu": "512", "memory": "1024", "networkMode": "awsvpc", "containerDefinitions": [
  { "name": "web", "image": "web", "portMappings": [{ "containerPort": 8080 }],
    "environment": [{ "name": "API", "value": "http://localhost:9000/" }],
    "dependsOn": [{ "containerName": "migrate", "condition": "SUCCESS" }, { "containerName": "api", "condition": "HEALTHY" }] },
  { "name": "api", "image": "api", "cpu": 128, "memory": 256, "portMappings": [{ "containerPort": 9000, "name": "api" }],
    "secrets": [{ "name": "KEY", "valueFrom": "arn:x" }], "stopTimeout": 60 },
  { "name": "migrate", "image": "m", "essential": false },
  { "name": "end", "image": "m", "essential": false, "restartPolicy": { "enabled": true } },
  { "name": "a-name-that-is-so-long-that-no-diagram-has-room-for-it-beside-all-that-has-to-be-said-as-well", "image": "m", "essential": false }
] }"#;

#[test]
fn text_diagrams_match_the_golden_files() {
    let mut wrong = Vec::new();
    for (name, diagram) in [
        ("coins-in-video", case("coins-in-video")),
        ("init", case("init-and-overrides")),
        ("plain", definition(PLAIN)),
    ] {
        for (letters, end) in [(Charset::Unicode, "txt"), (Charset::Ascii, "ascii.txt")] {
            let file = support::here("tests/graph").join(format!("{name}.{end}"));
            let found = text(&diagram, letters);
            if std::env::var_os("BLESS").is_some() {
                fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                fs::write(&file, &found).expect("a file");
            }

            if fs::read_to_string(&file).ok().as_deref() != Some(&found) {
                wrong.push(format!("{}\n{found}", file.display()));
            }
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_plain_definition_shows_open_ports_and_the_start_order() {
    let drawn = svg(&definition(PLAIN));
    for words in [
        "network",
        "tcp :8080",
        "api :9000",
        "runs first",
        "after migrate SUCCESS",
        "1 secret",
        "stops 2 · 60 s",
        "128 CPU",
        "0.5 vCPU · 1 GB",
    ] {
        assert!(drawn.contains(words), "{words}\n{drawn}");
    }

    let mermaid = mermaid(&definition(PLAIN));
    // `end` is a keyword of Mermaid and must not be an id.
    assert!(
        !mermaid
            .lines()
            .any(|line| line.trim_start().starts_with("end[")),
        "{mermaid}"
    );
    assert!(mermaid.contains("-->|\"uses :9000\"|"), "{mermaid}");
}

#[test]
fn an_assembly_shows_size_price_and_telemetry() {
    let diagram = case("coins-in-video");
    let drawn = svg(&diagram);
    for words in [
        "internet",
        "https :8443",
        "a month",
        "telemetry",
        "1 secret",
        "starts 5",
        "stops 1 · ",
        "prefers-color-scheme",
    ] {
        assert!(drawn.contains(words), "{words}\n{drawn}");
    }

    // Four senders and one arrowhead: their edges share a lane.
    assert_eq!(
        drawn.matches("edge telemetry telemetry-head").count(),
        2,
        "one of them is the legend's"
    );
    assert_eq!(mermaid(&diagram).matches("-.->|\"otlp :4318\"|").count(), 4);
}

/// Returns the diagrams of all published definitions, if the corpus is present.
fn corpus() -> Vec<(String, Diagram)> {
    let folder = support::here("../../../shared/data/task-definitions");
    if !folder.is_dir() {
        // Not eprintln: libtest captures it, and shows it only for failed tests.
        let _ = writeln!(
            std::io::stderr(),
            "skipped: diagrams of published definitions needs ../shared/data"
        );
        return Vec::new();
    }

    let mut diagrams = Vec::new();
    for file in files(&folder) {
        let source = Source::new(
            support::name(&file),
            fs::read_to_string(&file).unwrap_or_default(),
        );
        // The corpus also has templates and broken files, which other tests cover.
        if let Ok(located) = task_definition::read(&source) {
            diagrams.push((support::name(&file), Diagram::from(&located.definition)));
        }
    }

    assert!(diagrams.len() > 50, "only {} could be read", diagrams.len());
    diagrams
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = support::entries(folder).into_iter();
    let all = entries.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    all.filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect()
}

#[test]
fn lines_have_at_most_a_hundred_characters_and_ascii_is_ascii() {
    let mut diagrams = corpus();
    diagrams.extend(
        ["coins-in-video", "coins-plain", "init-and-overrides"]
            .map(|name| (name.to_owned(), case(name))),
    );
    diagrams.push(("plain".to_owned(), definition(PLAIN)));

    for (name, diagram) in diagrams {
        let unicode = text(&diagram, Charset::Unicode);
        // Text diagrams must fit into a terminal.
        let longest = unicode.lines().map(|line| line.chars().count()).max();
        assert!(longest <= Some(100), "{name}\n{unicode}");
        assert!(text(&diagram, Charset::Ascii).is_ascii(), "{name}");
        assert!(svg(&diagram).ends_with("</svg>\n"), "{name}");
    }
}

/// Runs Mermaid's parser, if npm has installed it.
const PARSE: &str = "
import purify from 'dompurify';
purify.addHook = () => {};
purify.sanitize = text => text; // there is no page to keep clean
const { default: mermaid } = await import('mermaid');
let text = '';
for await (const part of process.stdin) text += part;
for (const diagram of text.split('\\0')) console.log((await mermaid.parse(diagram)).diagramType);
";

#[test]
fn mermaid_parses_every_diagram() {
    let root = support::here("../..");
    if !root.join("node_modules/mermaid").is_dir() {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: mermaid_parses_every_diagram needs node_modules with mermaid"
        );
        return;
    }

    let mut diagrams = corpus();
    diagrams
        .extend(["coins-in-video", "init-and-overrides"].map(|name| (name.to_owned(), case(name))));

    // Characters that Mermaid or HTML would interpret.
    let odd = definition(&PLAIN.replace("\"shop\"", r#""a \"b\" <c> & #d; `e` end""#));
    diagrams.push(("odd".to_owned(), odd));
    let texts: Vec<String> = diagrams
        .iter()
        .map(|(_, diagram)| mermaid(diagram))
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("input");

    fs::write(&input, texts.join("\0")).expect("a file");
    let output = Command::new("node")
        .args(["--input-type=module", "--eval", PARSE])
        .current_dir(&root)
        .stdin(fs::File::open(&input).expect("the file"))
        .output()
        .expect("node runs");

    let types = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    assert_eq!(
        types.lines().filter(|line| *line == "flowchart-v2").count(),
        texts.len(),
        "{types}"
    );
}
