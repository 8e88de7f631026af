//! `assemble ps`: lists tasks that run locally.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::runs::Run;
use crate::project::Project;
use crate::ui::Ui;

/// Arguments of `ps`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Include stopped tasks.
    #[arg(long)]
    all: bool,
    /// Output format.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs: the response format of DescribeTasks.
    Json,
}

/// Prints the tasks, newest first.
pub(crate) fn run(arguments: &Arguments, project: &Project, ui: &Ui) -> u8 {
    let mut runs = Run::all(project);
    runs.retain(|run| run.alive || arguments.all);
    runs.iter_mut().for_each(Run::mark_as_stopped_if_dead);
    ui.data(&match arguments.format {
        Format::Text => text(&Run::services(project), &runs),
        Format::Json => {
            let tasks: Vec<_> = runs.into_iter().map(|run| run.task).collect();
            format!("{:#}\n", json!({ "tasks": tasks, "failures": [] }))
        }
    });

    0
}

fn text(services: &[Run], runs: &[Run]) -> String {
    let mut rows = vec![TITLES.map(str::to_owned)];
    for service in services {
        rows.push(heading(service));
        let mut replicas: Vec<_> = runs.iter().filter(|run| run.belongs_to(service)).collect();
        // By number: `-2` before `-10`.
        replicas.sort_by_key(|run| (run.name.len(), &run.name));
        rows.extend(replicas.into_iter().flat_map(task));
    }

    let is_alone = |run: &&Run| !services.iter().any(|service| run.belongs_to(service));
    rows.extend(runs.iter().filter(is_alone).flat_map(task));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let line = |row: &[String; 5]| {
        let cells = row.iter().enumerate();
        let cells = cells.map(|(at, cell)| format!("{cell:0$}", width(at).unwrap_or_default()));
        format!("{}\n", cells.collect::<Vec<_>>().join("   ").trim_end())
    };

    rows.iter().map(line).collect()
}

/// Returns the row of a service, which has the ports; its tasks have rows too.
fn heading(service: &Run) -> [String; 5] {
    let count = |name: &str| service.task[name].as_u64().unwrap_or_default();
    let (running, desired) = (count("runningCount"), count("desiredCount"));
    [
        service.name.clone(),
        String::new(),
        status_text(&service.task["status"]),
        String::new(),
        format!("service: {running} of {desired} tasks ready") + &ports(&service.task),
    ]
}

fn task(run: &Run) -> Vec<[String; 5]> {
    let mut rows = vec![[
        run.name.clone(),
        String::new(),
        run.status().to_owned(),
        status_text(&run.task["healthStatus"]),
        String::new(),
    ]];
    let containers = run.task["containers"].as_array();
    rows.extend(containers.into_iter().flatten().map(container));
    rows
}

fn container(record: &Value) -> [String; 5] {
    let ended = record["exitCode"]
        .as_i64()
        .map(|code| format!("exited {code}"));
    // The pid of a process that has ended may be reused.
    let pid = record["pid"]
        .as_u64()
        .filter(|_| ended.is_none())
        .map(|pid| format!("pid {pid}"));
    let name = status_text(&record["name"]);
    let ports = if ended.is_none() {
        ports(record)
    } else {
        String::new()
    };

    let detail = ended.or(pid).unwrap_or_default() + &ports;
    [
        String::new(),
        name,
        status_text(&record["lastStatus"]),
        status_text(&record["healthStatus"]),
        detail,
    ]
}

/// Formats the host address of each published port.
fn ports(record: &Value) -> String {
    let bindings = record["networkBindings"].as_array().into_iter().flatten();
    let texts = bindings.map(|port| {
        let ip = port["bindIP"].as_str().unwrap_or_default();
        format!(
            // As `docker ps` writes it.
            ", {ip}:{}->{}/tcp",
            port["hostPort"], port["containerPort"]
        )
    });
    texts.collect()
}

fn status_text(value: &Value) -> String {
    value.as_str().unwrap_or("UNKNOWN").to_owned()
}

const TITLES: [&str; 5] = ["task", "container", "status", "health", ""];
