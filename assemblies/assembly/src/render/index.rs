//! The page in front of all assemblies: their diagrams, sizes and prices, and the way to each document.

use std::fmt::Write as _;

use crate::plan::{Plan, Price};

/// An assembly, and the documents that lie in its folder.
#[derive(Debug, Clone)]
pub struct Entry<'p> {
    /// The assembly.
    pub plan: &'p Plan,
    /// Paths inside the folder, with `/`.
    pub paths: Vec<String>,
}

/// The page, as Markdown; folders are looked for beside it.
pub fn index(entries: &[Entry<'_>]) -> String {
    let mut page = String::from(
        "# What the assemblies come to\n\nMade by `assemble render --all`; do not edit.\n\n\
         | assembly | what it does | containers | size | On-Demand | Spot |\n|---|---|---|---|---|---|\n",
    );

    for Entry { plan, .. } in entries {
        let (name, summary) = (plan.name(), cell(plan.summary()));
        let (containers, size) = (plan.containers().len(), plan.size());
        let hour = plan
            .price()
            .map_or_else(unknown, |price| amount(plan, price.hour));
        let spot = plan.price().and_then(|price| price.spot);
        let spot = spot.map_or_else(unknown, |hour| amount(plan, hour));
        let _ = writeln!(
            page,
            "| [{name}](#{name}) | {summary} | {containers} | {size} | {hour} | {spot} |"
        );
    }

    if let Some(price) = entries.iter().find_map(|entry| entry.plan.price()) {
        let Price { region, date, .. } = price;
        let _ = write!(
            page,
            "\nPrices of {region}, {date}: one task, without traffic, addresses and logs.\n"
        );
    }

    for entry in entries {
        section(&mut page, entry);
    }
    page
}

fn section(page: &mut String, Entry { plan, paths }: &Entry<'_>) {
    let name = plan.name();
    let _ = write!(page, "\n## {name}\n\n");
    if paths.iter().any(|path| path == PICTURE) {
        let _ = write!(page, "![{}]({name}/{PICTURE})\n\n", cell(plan.summary()));
    }
    let links: Vec<String> = paths
        .iter()
        .map(|path| format!("[`{path}`]({name}/{path})"))
        .collect();
    let _ = writeln!(page, "{}", links.join(" · "));
}

const PICTURE: &str = "graph.svg";

/// By the month for a task that serves, by the hour for one that ends.
fn amount(plan: &Plan, hour: f64) -> String {
    match plan.on_demand() {
        None => format!("${:.2} a month", hour * crate::prices::HOURS),
        Some(_) => format!("${hour:.4} an hour"),
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// Text that neither ends a column nor a diagram's words.
fn cell(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('|', "\\|")
        .replace('[', "\\[")
        .replace(']', "\\]")
}
