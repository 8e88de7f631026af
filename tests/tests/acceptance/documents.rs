//! The output of `make assemble` and `assemble check`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use acceptance::{Network, Process, Project, workspace};

const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn rendering_reproduces_the_committed_documents_and_is_idempotent() {
    let (network, project) = (Network::new(), Project::new());
    let render = || {
        let mut command = project.assemble(&network);
        command.args(["render", "--all"]);
        let finished = Process::finish(command, LIMIT);
        assert_eq!(finished.code, 0, "{}", finished.output());
        finished
    };

    let first = render();
    for word in [
        "assembly",
        "containers",
        "Fargate size",
        "findings",
        "coins-secure",
    ] {
        assert!(first.stdout.contains(word), "{}", first.stdout);
    }

    let rendered = documents(&project.root().join("assemblies/rendered"));
    assert_eq!(
        rendered,
        documents(&workspace().join("assemblies/rendered"))
    );

    for expected in [
        "task-definition.json",
        "iam/execution-role.json",
        "graph.mmd",
        "graph.svg",
    ] {
        assert!(
            rendered.contains_key(&Path::new("coins-secure").join(expected)),
            "{expected}"
        );
    }

    // The second run finds exactly the documents of the first.
    assert!(render().stderr.contains("nothing changed"));
}

#[test]
fn five_mistakes_cause_five_findings_with_line_caret_id_and_hint() {
    let (network, project) = (Network::new(), Project::new());
    fs::write(project.root().join("bad.yaml"), BAD).expect("writable");
    let mut command = project.assemble(&network);
    command.args(["check", "bad.yaml"]);

    let finished = Process::finish(command, LIMIT);
    // 1 means findings; 2 would be an unreadable manifest.
    assert_eq!(finished.code, 1, "{}", finished.output());
    assert_eq!(
        finished.stdout.matches("error[").count(),
        5,
        "{}",
        finished.stdout
    );

    // The lines of the five mistakes in `BAD`.
    for line in [3, 4, 8, 9, 11] {
        let location = format!("bad.yaml:{line}:");
        assert_eq!(
            finished.stdout.matches(&location).count(),
            1,
            "{location}\n{}",
            finished.stdout
        );
    }

    for mark in ["^", "= hint: "] {
        assert!(
            finished.stdout.matches(mark).count() >= 5,
            "{mark}\n{}",
            finished.stdout
        );
    }
}

/// An unknown app, a misspelt key, a misspelt and a mistyped setting, and a mistyped number.
const BAD: &str = "\
name: bad
summary: A manifest with five different mistakes
app: coinz
ingres: [auth-filter]
sidecars: [telemetry-forwarder]
settings:
  telemetry-forwarder:
    max_queue_byte: 1000000
    max_body_bytes: plenty
service:
  min: many
  max: 1
";

fn documents(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inside = path.strip_prefix(folder).expect("inside").to_owned();
                found.insert(inside, fs::read_to_string(&path).expect("text"));
            }
        }
    }

    found
}
