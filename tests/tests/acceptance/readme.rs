//! The `console` blocks of the README and of `docs/` show what the commands print.
//!
//! A line `$ cat FILE` shows a file, which the test writes; `$ assemble …` is run in a copy of the project, and
//! its output is compared. Other commands are illustrations and stay. `BLESS=1` writes the output into the page.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use acceptance::{Network, Process, Project, workspace};

const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn console_blocks_show_the_output_of_their_commands() {
    let mut commands = 0;
    let mut outdated = Vec::new();

    for page in pages() {
        let text = fs::read_to_string(&page).expect("a page");
        let (expected, count) = with_actual_output(&text);
        commands += count;

        if expected != text && std::env::var_os("BLESS").is_some() {
            fs::write(&page, &expected).expect("writable");
        } else if expected != text {
            outdated.push(format!("{}:\n{expected}", page.display()));
        }
    }

    // Guards against a change of the fence that would leave nothing to compare.
    assert!(commands >= 3, "only {commands} commands were found");
    assert!(
        outdated.is_empty(),
        "BLESS=1 updates these pages:\n{}",
        outdated.join("\n")
    );
}

fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(workspace().join("docs")).expect("docs/");
    let mut pages: Vec<PathBuf> = docs
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();

    pages.push(workspace().join("README.md"));
    pages.sort();
    pages
}

/// Returns the page with the output of its commands as they print it now, and the number of commands.
fn with_actual_output(page: &str) -> (String, usize) {
    let (network, project) = (Network::new(), Project::new());
    let mut result = String::new();
    let mut commands = 0;
    let mut lines = page.lines().peekable();

    while let Some(line) = lines.next() {
        result.push_str(line);
        result.push('\n');
        if line != "```console" {
            continue;
        }

        while let Some(prompt) = lines.next_if(|line| line.starts_with("$ ")) {
            let mut shown = String::new();
            while let Some(output) = lines.next_if(|line| !line.starts_with("$ ") && *line != "```")
            {
                shown.push_str(output);
                shown.push('\n');
            }

            result.push_str(prompt);
            result.push('\n');
            match prompt.strip_prefix("$ cat ") {
                Some(file) => {
                    fs::write(project.root().join(file), &shown).expect("writable");
                    result.push_str(&shown);
                }
                None => match arguments(prompt) {
                    Some(arguments) => {
                        result.push_str(&output(&arguments, &project, &network));
                        commands += 1;
                    }
                    None => result.push_str(&shown),
                },
            }
        }
    }

    (result, commands)
}

/// Returns the arguments of `assemble …`; `make assemble` stands for the command in the Makefile.
fn arguments(prompt: &str) -> Option<Vec<String>> {
    let command = prompt.trim_start_matches("$ ");
    let command = command.replace("make assemble", "assemble render --all");
    let arguments = command.strip_prefix("assemble ")?;
    Some(arguments.split_whitespace().map(str::to_owned).collect())
}

/// Runs `assemble` in the project and returns what it prints.
fn output(arguments: &[String], project: &Project, network: &Network) -> String {
    // A clone has the committed documents, so rendering them again changes nothing.
    let rendered = project.root().join("assemblies/rendered");
    if !rendered.exists() {
        copy(&workspace().join("assemblies/rendered"), &rendered);
    }

    let mut command = project.assemble(network);
    command.args(arguments);
    let finished = Process::finish(command, LIMIT);
    format!("{}{}", finished.stdout, finished.stderr)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("writable");
        }
    }
}
