//! Compiles a static program with cargo, so that the same sources give the same bytes in every folder.

use std::collections::{BTreeSet, HashMap};
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use registry::program::Program;
use serde::Deserialize;

use super::metadata::{Package, Workspace, cargo};
use super::prepare::Prepared;
use super::target::{Target, Toolchain};
use crate::error::CliError;
use crate::ui::Ui;

/// A compiled program.
#[derive(Debug)]
pub(super) struct Compiled<'w> {
    pub(super) program: Program,
    /// The packages that are linked into it, its own included, by name and version.
    pub(super) linked: Vec<&'w Package>,
    /// The enabled features of the linked packages, by id.
    pub(super) features: HashMap<String, Vec<String>>,
}

/// A line of `cargo build --message-format=json`.
#[derive(Debug, Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    package_id: String,
    #[serde(default)]
    target: Option<MessageTarget>,
    #[serde(default)]
    features: Vec<String>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
    #[serde(default)]
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct MessageTarget {
    kind: Vec<String>,
    name: String,
}

/// Compiles a binary of a package. Cargo's progress and messages go to stderr.
pub(super) fn compile<'w>(
    workspace: &'w Workspace,
    (package, binary): (&Package, &str),
    (toolchain, target): (&Toolchain, Target),
    prepared: &Prepared,
    ui: &Ui,
) -> Result<Compiled<'w>, CliError> {
    let mut command = cargo_build(workspace, &package.id, binary, target);
    if ui.is_quiet() {
        command.arg("--quiet");
    }
    command.envs(&prepared.environment);
    set_flags(&mut command, workspace, (toolchain, target), prepared);

    let failed = |reason: String| {
        CliError::Usage(format!(
            "cannot compile `{binary}` for {}: {reason}",
            target.platform()
        ))
    };
    let messages = run(command).map_err(failed)?;
    // The path depends on the profile and on the user's target folder, so cargo is asked for it.
    let executable = messages.iter().find_map(|message| {
        let is_binary = message.target.as_ref()?.name == binary;
        message.executable.as_ref().filter(|_| is_binary)
    });
    let Some(executable) = executable else {
        return Err(failed("cargo reported no executable".to_owned()));
    };

    let content = fs::read(executable).map_err(|source| CliError::File {
        act: "read",
        path: executable.clone(),
        source,
    })?;
    let program = Program::read(content)
        .map_err(|error| CliError::Usage(format!("cannot make an image of `{binary}`: {error}")))?;
    let linked = linked_messages(workspace, &messages, target);
    Ok(Compiled {
        program,
        linked: packages(workspace, &linked),
        features: linked
            .iter()
            .map(|message| (message.package_id.clone(), message.features.clone()))
            .collect(),
    })
}

/// Returns the command that compiles a binary of a package and writes messages as JSON.
fn cargo_build(workspace: &Workspace, package: &str, binary: &str, target: Target) -> Command {
    let mut command = Command::new(cargo());
    command
        .args([
            "build",
            "--locked",
            "--message-format",
            "json-render-diagnostics",
        ])
        .args([
            "--profile",
            workspace.profile(),
            "--target",
            target.triple(),
        ])
        // One package at a time: cargo unites the features of packages that are built together, and the program
        // would depend on which others were named.
        .args(["--package", package, "--bin", binary])
        .current_dir(&workspace.workspace_root);
    command
}

/// Sets the flags of a static program without paths of this machine in it.
fn set_flags(
    command: &mut Command,
    workspace: &Workspace,
    (toolchain, target): (&Toolchain, Target),
    prepared: &Prepared,
) {
    let variable = |name: &str| {
        let own = prepared.environment.get(name).cloned();
        own.or_else(|| env::var(name).ok())
    };

    // Flags of the user come first, so that these win. Those in cargo's configuration files are not used: only the
    // environment replaces them without changing a file.
    let mut flags: Vec<String> = variable("RUSTFLAGS")
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    flags.push("-Ctarget-feature=+crt-static".to_owned());
    let options = toolchain.link_options(target).iter();
    flags.extend(options.map(|option| (*option).to_owned()));

    let prefixes = path_prefixes(workspace, toolchain);
    for (from, to) in &prefixes {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    command
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));

    // By default the `cc` crate splits flags at white space, which paths may contain.
    if has_white_space(&prefixes) {
        command.env("CC_SHELL_ESCAPED_FLAGS", "1");
    }

    // The `cc` crate takes the first of these variables that is set, so the user's flags are added.
    let underscored = target.triple().replace('-', "_");
    for name in ["CFLAGS", "CXXFLAGS"] {
        let for_target = format!("{name}_{underscored}");
        let mut flags = variable(&for_target)
            .or_else(|| variable(name))
            .unwrap_or_default();
        if name == "CFLAGS" {
            // A panic of Rust does not pass through C, so that the tables to unwind C are never read.
            flags += " -fno-asynchronous-unwind-tables";
        }
        flags += &prefix_flags(&prefixes);
        command.env(for_target, flags.trim_start());
    }

    command.envs(toolchain.cross_variables(target));
}

/// Returns the flags of C compilers that replace paths, each after a space.
fn prefix_flags(prefixes: &[(PathBuf, &str)]) -> String {
    let is_quoted = has_white_space(prefixes);
    let mut flags = String::new();
    for (from, to) in prefixes {
        let flag = format!("-ffile-prefix-map={}={to}", from.display());
        let _ = if is_quoted {
            // As shells read it.
            write!(flags, " '{}'", flag.replace('\'', r"'\''"))
        } else {
            write!(flags, " {flag}")
        };
    }
    flags
}

fn has_white_space(prefixes: &[(PathBuf, &str)]) -> bool {
    let mut paths = prefixes.iter().map(|(from, _)| from.to_string_lossy());
    paths.any(|path| path.contains(char::is_whitespace))
}

/// Returns the paths that a compiler may write into a program, and their replacements. The last one that
/// matches counts, and the target folder is usually inside the workspace.
fn path_prefixes(workspace: &Workspace, toolchain: &Toolchain) -> Vec<(PathBuf, &'static str)> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    vec![
        (cargo_home.unwrap_or_else(|| home.join(".cargo")), "/cargo"),
        (toolchain.sysroot.clone(), "/rust"),
        (workspace.workspace_root.clone(), "/src"),
        (workspace.target_directory.clone(), "/target"),
    ]
}

/// Runs cargo and returns its messages about compiled packages.
fn run(mut command: Command) -> Result<Vec<Message>, String> {
    let cannot = |error: std::io::Error| format!("cannot run cargo: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
    let mut messages = Vec::new();

    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(cannot)?;
            // Build scripts may print other lines.
            if let Ok(message) = serde_json::from_str::<Message>(&line) {
                messages.push(message);
            }
        }
    }

    let status = child.wait().map_err(cannot)?;
    messages.retain(|message| message.reason == "compiler-artifact");
    if status.success() {
        Ok(messages)
    } else {
        Err("cargo's messages are above".to_owned())
    }
}

/// Returns the messages about the packages in the program: libraries compiled for the target. Build scripts, procedural
/// macros and their dependencies are compiled for the host, into another folder.
fn linked_messages<'m>(
    workspace: &Workspace,
    messages: &'m [Message],
    target: Target,
) -> Vec<&'m Message> {
    let folder = workspace.target_directory.join(target.triple());
    let is_linked = |message: &&Message| {
        let is_for_target = |file: &PathBuf| file.starts_with(Path::new(&folder));
        let kinds = message.target.iter().flat_map(|target| &target.kind);
        message.filenames.iter().any(is_for_target)
            && kinds
                .clone()
                .all(|kind| kind != "proc-macro" && kind != "custom-build")
    };
    messages.iter().filter(is_linked).collect()
}

/// Returns the packages of messages, each once, by name and version.
fn packages<'w>(workspace: &'w Workspace, messages: &[&Message]) -> Vec<&'w Package> {
    let ids = messages.iter().map(|message| message.package_id.as_str());
    let ids: BTreeSet<&str> = ids.collect();
    let by_id = workspace.by_id();
    let mut packages: Vec<&Package> = ids.iter().filter_map(|id| by_id.get(id).copied()).collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));

    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_c_are_quoted_only_if_a_path_has_spaces() {
        let flags = |folder: &str| {
            let prefixes = [
                (PathBuf::from("/home/ann"), "/cargo"),
                (folder.into(), "/src"),
            ];
            prefix_flags(&prefixes)
        };

        let plain = " -ffile-prefix-map=/home/ann=/cargo -ffile-prefix-map=/it's=/src";
        assert_eq!(flags("/it's"), plain);
        let quoted =
            r" '-ffile-prefix-map=/home/ann=/cargo' '-ffile-prefix-map=/it'\''s here=/src'";
        assert_eq!(flags("/it's here"), quoted);
    }
}
