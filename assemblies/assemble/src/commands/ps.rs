//! `assemble ps`: the tasks that run here.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::runs::Run;
use crate::project::Project;
use crate::talk::Talk;

/// Which, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Also those that have ended.
    #[arg(long)]
    all: bool,
    /// How to print them.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How tasks are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs: the shape of DescribeTasks.
    Json,
}

/// Prints them, newest first.
pub(crate) fn run(arguments: &Arguments, project: &Project, talk: &Talk) -> u8 {
    let mut runs = Run::all(project);
    runs.retain(|one| one.alive || arguments.all);
    runs.iter_mut().for_each(Run::own_up);
    talk.data(&match arguments.format {
        Format::Text => text(&Run::services(project), &runs),
        Format::Json => {
            let tasks: Vec<_> = runs.into_iter().map(|one| one.task).collect();
            format!("{:#}\n", json!({ "tasks": tasks, "failures": [] }))
        }
    });

    0
}

fn text(services: &[Run], runs: &[Run]) -> String {
    let mut rows = vec![TITLES.map(str::to_owned)];
    for service in services {
        rows.push(heading(service));
        let mut own: Vec<_> = runs.iter().filter(|run| run.belongs_to(service)).collect();
        // By their numbers.
        own.sort_by_key(|run| (run.name.len(), &run.name));
        rows.extend(own.into_iter().flat_map(task));
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

/// A service is its tasks, which have rows of their own; it has the ports.
fn heading(service: &Run) -> [String; 5] {
    let count = |name: &str| service.task[name].as_u64().unwrap_or_default();
    let (running, wanted) = (count("runningCount"), count("desiredCount"));
    [
        service.name.clone(),
        String::new(),
        word(&service.task["status"]),
        String::new(),
        format!("a service: {running} of {wanted} tasks take part") + &ports(&service.task),
    ]
}

fn task(run: &Run) -> Vec<[String; 5]> {
    let mut rows = vec![[
        run.name.clone(),
        String::new(),
        run.status().to_owned(),
        word(&run.task["healthStatus"]),
        String::new(),
    ]];
    let containers = run.task["containers"].as_array();
    rows.extend(containers.into_iter().flatten().map(container));
    rows
}

fn container(one: &Value) -> [String; 5] {
    let ended = one["exitCode"]
        .as_i64()
        .map(|code| format!("exited {code}"));
    let pid = one["pid"]
        .as_u64()
        .filter(|_| ended.is_none())
        .map(|pid| format!("pid {pid}"));
    let name = word(&one["name"]);
    let ports = if ended.is_none() {
        ports(one)
    } else {
        String::new()
    };

    let detail = ended.or(pid).unwrap_or_default() + &ports;
    [
        String::new(),
        name,
        word(&one["lastStatus"]),
        word(&one["healthStatus"]),
        detail,
    ]
}

/// Where each port is on this machine.
fn ports(one: &Value) -> String {
    let bindings = one["networkBindings"].as_array().into_iter().flatten();
    let words = bindings.map(|port| {
        let ip = port["bindIP"].as_str().unwrap_or_default();
        format!(
            ", {ip}:{} is port {}",
            port["hostPort"], port["containerPort"]
        )
    });
    words.collect()
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("UNKNOWN").to_owned()
}

const TITLES: [&str; 5] = ["task", "container", "status", "health", ""];
