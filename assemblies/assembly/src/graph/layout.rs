//! Where everything stands in the picture: the chain in a row, the rest in a row beneath it.

use std::fmt::Write as _;

use crate::plan::{Plan, Price};
use crate::resolve::{Link, Role};

/// Columns and rows of a plan.
#[derive(Debug)]
pub(super) struct Layout {
    /// The cell of every container, in the order of the plan.
    pub(super) cells: Vec<Cell>,
    /// How many columns there are.
    pub(super) columns: usize,
    /// Whether anybody stands in the lower row.
    pub(super) has_lower: bool,
}

/// A cell of the grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) column: usize,
    pub(super) row: Row,
}

/// The two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// The hops and the app.
    Chain,
    /// Those beside and before.
    Lower,
}

/// An arrow between two containers: positions in the plan, and what is written on it.
#[derive(Debug)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: String,
    pub(super) line: Line,
}

/// How an arrow is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Requests.
    Solid,
    /// Telemetry, and waiting.
    Dashed,
}

/// Puts the chain into the upper row in its order, and everybody else below those who use them: the
/// ones with the fewest users first, as those have one good place only.
pub(super) fn layout(plan: &Plan) -> Layout {
    let members = plan.containers();
    let mut cells = vec![
        Cell {
            column: 0,
            row: Row::Lower
        };
        members.len()
    ];
    let mut columns = 0;
    for (cell, member) in cells.iter_mut().zip(members) {
        if matches!(member.role(), Role::Ingress | Role::App) {
            *cell = Cell {
                column: columns,
                row: Row::Chain,
            };
            columns += 1;
        }
    }
    let arrows = arrows(plan);
    let mut lower: Vec<(usize, Vec<usize>)> = (0..members.len())
        .filter(|index| cells[*index].row == Row::Lower)
        .map(|index| (index, users(&arrows, index, &cells)))
        .collect();
    lower.sort_by_key(|(index, users)| (users.len(), *index));
    let mut free: Vec<usize> = (0..columns.max(lower.len())).collect();
    for (index, users) in &lower {
        // Twice the mean, so that no fraction is needed.
        let wish = 2 * users.iter().sum::<usize>() / users.len().max(1);
        let nearest = (0..free.len()).min_by_key(|at| ((2 * free[*at]).abs_diff(wish), *at));
        if let Some(at) = nearest {
            cells[*index].column = free.remove(at);
        }
    }
    Layout {
        cells,
        columns: columns.max(lower.len()),
        has_lower: !lower.is_empty(),
    }
}

/// The columns of those in the chain who point at a container.
fn users(arrows: &[Arrow], index: usize, cells: &[Cell]) -> Vec<usize> {
    let users = arrows.iter().filter(|arrow| arrow.to == index);
    let users = users.filter(|arrow| cells[arrow.from].row == Row::Chain);
    users.map(|arrow| cells[arrow.from].column).collect()
}

/// Who gives what to whom, and who waits for whom without being given anything.
pub(super) fn arrows(plan: &Plan) -> Vec<Arrow> {
    let links = plan.links().iter().map(|link| Arrow {
        from: link.user,
        to: link.provider,
        label: label(plan, link),
        line: if link.requirement.is_none() {
            Line::Dashed
        } else {
            Line::Solid
        },
    });
    let mut arrows: Vec<Arrow> = links.collect();
    for (from, wired) in plan.wiring.containers.iter().enumerate() {
        for (to, condition, _) in &wired.depends_on {
            if !arrows
                .iter()
                .any(|arrow| arrow.from == from && arrow.to == *to)
            {
                let label = format!("after {}", condition.word());
                arrows.push(Arrow {
                    from,
                    to: *to,
                    label,
                    line: Line::Dashed,
                });
            }
        }
    }
    arrows
}

/// `http :8081`.
fn label(plan: &Plan, link: &Link) -> String {
    let provided = &plan.containers()[link.provider].component().file().provides[&link.interface];
    let listens = &plan.wiring.containers[link.provider].listens;
    let port = listens
        .get(&provided.setting)
        .map_or(provided.port, std::net::SocketAddr::port);
    format!("{} :{port}", link.interface)
}

/// Size and price in one line.
pub(super) fn caption(plan: &Plan) -> String {
    let platform = plan.definition().runtime_platform.as_ref();
    let machine = platform.and_then(|platform| platform.cpu_architecture.as_deref());
    let mut caption = format!("Fargate {} · {}", plan.size(), machine.unwrap_or("X86_64"));
    if let Some(price) = plan.price() {
        let (region, date) = (&price.region, &price.date);
        let _ = write!(
            caption,
            " · {} ({region}, {date})",
            price_in_words(plan, price)
        );
    }
    caption
}

/// By the month for a task that serves, by the hour for one that ends.
fn price_in_words(plan: &Plan, price: &Price) -> String {
    match plan.on_demand() {
        None => format!("${:.2} a month", price.month()),
        Some(_) => format!("${:.4} an hour while it runs", price.hour),
    }
}
