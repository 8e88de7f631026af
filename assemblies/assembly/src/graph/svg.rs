//! The picture as SVG, with a background of its own so that it reads on light and dark pages.

use std::fmt::Write as _;

use super::layout::{Arrow, Cell, Layout, Line, Row, arrows, caption, layout};
use super::pen::{STYLE, escaped, line, line_class, stroke, text};
use crate::plan::Plan;
use crate::resolve::{Life, Member, Role};

/// The picture as SVG text.
pub fn svg(plan: &Plan) -> String {
    let drawing = Drawing::new(plan);
    let mut svg = drawing.head();
    drawing.boundary(&mut svg);
    drawing.outside(&mut svg);
    for arrow in &drawing.arrows {
        drawing.arrow(&mut svg, arrow);
    }
    for (lane, target) in drawing.lanes().into_iter().enumerate() {
        drawing.lane(&mut svg, lane, target);
    }
    for (index, member) in plan.containers().iter().enumerate() {
        drawing.container(&mut svg, index, member);
    }
    drawing.foot(&mut svg);
    svg
}

/// All measures of one picture, in pixels.
struct Drawing<'p> {
    plan: &'p Plan,
    layout: Layout,
    arrows: Vec<Arrow>,
    box_width: i32,
    gap: i32,
}

const MARGIN: i32 = 24;
const BOX_HEIGHT: i32 = 68;
/// The place of the internet, or of the bucket, left of the task.
const OUTSIDE: i32 = 112;
/// From the task's upper edge to the chain.
const TITLE: i32 = 66;
/// Between the two rows; every provider beneath has a lane of its own in it.
const BETWEEN: i32 = 52;
const LANE: i32 = 18;
const FOOT: i32 = 44;
/// How wide a letter is, at 12 and 14 pixels.
const SMALL: i32 = 7;
const LARGE: i32 = 9;

impl<'p> Drawing<'p> {
    fn new(plan: &'p Plan) -> Self {
        let arrows = arrows(plan);
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0) as i32;
        let names = widest(
            &mut plan
                .containers()
                .iter()
                .map(|one| one.name().chars().count()),
        );
        let mut labels: Vec<String> = arrows.iter().map(|arrow| arrow.label.clone()).collect();
        labels.push(door(plan));
        let label = widest(&mut labels.iter().map(|label| label.chars().count()));
        Self {
            plan,
            layout: layout(plan),
            arrows,
            box_width: (names * LARGE + 28).max(150),
            gap: label * SMALL + 26,
        }
    }

    // Measures ---------------------------------------------------------------------------------

    /// The task's edges: left, upper, width, height.
    fn task(&self) -> (i32, i32, i32, i32) {
        let columns = self.layout.columns as i32;
        let row = columns * self.box_width + (columns - 1) * self.gap;
        let title = self.plan.summary().chars().count() as i32 * SMALL;
        let caption = caption(self.plan).chars().count() as i32 * SMALL;
        let width = row.max(title).max(caption) + 2 * MARGIN;
        let lower = if self.layout.has_lower {
            self.between() + BOX_HEIGHT
        } else {
            0
        };
        let detour = if self.has_detour() { LANE } else { 0 };
        (
            MARGIN + OUTSIDE + self.gap,
            MARGIN,
            width,
            TITLE + BOX_HEIGHT + lower + detour + MARGIN,
        )
    }

    fn size(&self) -> (i32, i32) {
        let (left, upper, width, height) = self.task();
        (left + width + MARGIN, upper + height + FOOT)
    }

    fn between(&self) -> i32 {
        BETWEEN + self.lanes().len() as i32 * LANE
    }

    /// The containers of the lower row that somebody in the chain points at, left to right.
    fn lanes(&self) -> Vec<usize> {
        let cells = &self.layout.cells;
        let pointed = |index: &usize| {
            cells[*index].row == Row::Lower
                && self
                    .arrows
                    .iter()
                    .any(|a| a.to == *index && cells[a.from].row == Row::Chain)
        };
        let mut lanes: Vec<usize> = (0..cells.len()).filter(pointed).collect();
        lanes.sort_by_key(|index| cells[*index].column);
        lanes
    }

    /// Left and upper edge of a container.
    fn corner(&self, index: usize) -> (i32, i32) {
        let Cell { column, row } = self.layout.cells[index];
        let (left, upper, ..) = self.task();
        let x = left + MARGIN + column as i32 * (self.box_width + self.gap);
        let y = upper
            + TITLE
            + if row == Row::Lower {
                BOX_HEIGHT + self.between()
            } else {
                0
            };
        (x, y)
    }

    fn centre(&self, index: usize) -> i32 {
        self.corner(index).0 + self.box_width / 2
    }

    fn is_detour(&self, arrow: &Arrow) -> bool {
        let (from, to) = (self.layout.cells[arrow.from], self.layout.cells[arrow.to]);
        from.row == Row::Lower && to.row == Row::Lower && from.column.abs_diff(to.column) > 1
    }

    fn has_detour(&self) -> bool {
        self.arrows.iter().any(|arrow| self.is_detour(arrow))
    }

    // Drawing ----------------------------------------------------------------------------------

    fn head(&self) -> String {
        let (width, height) = self.size();
        let title = escaped(&format!("{}: {}", self.plan.name(), self.plan.summary()));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{title}\">\n{STYLE}\
             <rect class=\"page\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"14\"/>\n",
            width - 1,
            height - 1,
        )
    }

    fn boundary(&self, svg: &mut String) {
        let (x, y, width, height) = self.task();
        let _ = writeln!(
            svg,
            "<rect class=\"task\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"12\"/>"
        );
        let x = x + MARGIN;
        text(svg, "title", (x, y + 27), "start", self.plan.name());
        text(svg, "small", (x, y + 46), "start", self.plan.summary());
    }

    /// What stands outside of the task, and the arrow that leads in.
    fn outside(&self, svg: &mut String) {
        let Some(first) = self.entrance() else { return };
        let (x, y) = self.corner(first);
        let y = y + BOX_HEIGHT / 2;
        let centre = MARGIN + OUTSIDE / 2;
        let _ = writeln!(
            svg,
            "<rect class=\"outside\" x=\"{MARGIN}\" y=\"{}\" width=\"{OUTSIDE}\" height=\"44\" rx=\"22\"/>",
            y - 22
        );
        let bucket = self.plan.on_demand().map(|trigger| trigger.bucket.as_str());
        let name = if bucket.is_some() {
            "bucket"
        } else {
            "internet"
        };
        text(svg, "name", (centre, y + 5), "middle", name);
        if let Some(bucket) = bucket {
            text(svg, "small", (centre, y + 40), "middle", bucket);
        }
        let start = MARGIN + OUTSIDE;
        let (class, middle) = (line_class(self.line_in()), (start + start + self.gap) / 2);
        let _ = writeln!(
            svg,
            "<path class=\"{class}\" d=\"M{start} {y} H{}\"/>",
            x - 2
        );
        text(svg, "label", (middle, y - 8), "middle", &door(self.plan));
    }

    fn line_in(&self) -> Line {
        if self.plan.on_demand().is_some() {
            Line::Dashed
        } else {
            Line::Solid
        }
    }

    /// The container that is reached from outside, or started by the bucket.
    fn entrance(&self) -> Option<usize> {
        let name = match self.plan.public() {
            Some(public) => public.container(self.plan),
            None => self
                .plan
                .on_demand()
                .and_then(|_| self.plan.app())
                .map(Member::name)?,
        };
        self.plan
            .containers()
            .iter()
            .position(|member| member.name() == name)
    }

    fn container(&self, svg: &mut String, index: usize, member: &Member) {
        let (x, y) = self.corner(index);
        let class = match member.role() {
            Role::Ingress => "hop",
            Role::App => "app",
            Role::Sidecar => "sidecar",
            Role::Init => "init",
        };
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{BOX_HEIGHT}\" rx=\"8\"/>",
            self.box_width
        );
        let centre = self.centre(index);
        text(svg, "name", (centre, y + 23), "middle", member.name());
        let definition = self.plan.definition().container(member.name());
        let (cpu, memory) = definition.map_or((0, 0), |one| {
            (one.cpu.unwrap_or_default(), one.memory.unwrap_or_default())
        });
        text(
            svg,
            "small",
            (centre, y + 42),
            "middle",
            &self.address(index),
        );
        text(
            svg,
            "small",
            (centre, y + 58),
            "middle",
            &format!("{cpu} CPU · {memory} MiB"),
        );
    }

    /// Where the container listens, or what it is for.
    fn address(&self, index: usize) -> String {
        let member = &self.plan.containers()[index];
        let file = member.component().file();
        let listens = &self.plan.wiring.containers[index].listens;
        let public = self.plan.public().filter(|public| public.member == index);
        let interface = public
            .map(|public| &public.interface)
            .or_else(|| file.provides.keys().next());
        let address = interface.and_then(|name| listens.get(&file.provides[name].setting));
        match (address, member.role()) {
            (_, Role::Init) => "runs first".to_owned(),
            (None, _) if member.life() == Life::Ends => "runs and ends".to_owned(),
            (Some(address), _) => address.to_string(),
            (None, _) => "listens nowhere".to_owned(),
        }
    }

    fn arrow(&self, svg: &mut String, arrow: &Arrow) {
        let (from, to) = (self.layout.cells[arrow.from], self.layout.cells[arrow.to]);
        match (from.row, to.row) {
            // Drawn by `lane`.
            (Row::Chain, Row::Lower) => {}
            (Row::Lower, Row::Chain) => self.up(svg, arrow),
            _ if self.is_detour(arrow) => self.under(svg, arrow),
            _ => self.across(svg, arrow),
        }
    }

    /// To a neighbour in the same row.
    fn across(&self, svg: &mut String, arrow: &Arrow) {
        let ((from, y), (to, _)) = (self.corner(arrow.from), self.corner(arrow.to));
        let y = y + BOX_HEIGHT / 2;
        let (start, end) = if from < to {
            (from + self.box_width, to - 2)
        } else {
            (from, to + self.box_width + 2)
        };
        line(svg, arrow.line, &format!("M{start} {y} H{end}"));
        text(
            svg,
            "label",
            (i32::midpoint(start, end), y - 8),
            "middle",
            &arrow.label,
        );
    }

    /// From everybody in the chain who uses a container beneath: down into its lane, along, and down.
    ///
    /// What they have in common is drawn once, since dashes over dashes would look solid.
    fn lane(&self, svg: &mut String, lane: usize, target: usize) {
        let users: Vec<&Arrow> = self
            .arrows
            .iter()
            .filter(|arrow| arrow.to == target && self.layout.cells[arrow.from].row == Row::Chain)
            .collect();
        let Some(first) = users.first() else { return };
        let bottom = self.corner(first.from).1 + BOX_HEIGHT;
        let y = bottom + 16 + lane as i32 * LANE;
        let (end, (_, top)) = (self.centre(target), self.corner(target));
        let starts: Vec<i32> = users.iter().map(|arrow| self.leaving(arrow)).collect();
        for x in &starts {
            stroke(svg, first.line, &format!("M{x} {bottom} V{y}"));
        }
        let left = starts.iter().chain([&end]).min().unwrap_or(&end);
        let right = starts.iter().chain([&end]).max().unwrap_or(&end);
        if left < right {
            stroke(svg, first.line, &format!("M{left} {y} H{right}"));
        }
        line(svg, first.line, &format!("M{end} {y} V{}", top - 2));
        text(svg, "label", (end + 9, top - 12), "start", &first.label);
    }

    /// Where an arrow leaves the lower edge of a container: in the middle if its way is straight, and
    /// towards its target otherwise.
    fn leaving(&self, arrow: &Arrow) -> i32 {
        let cells = &self.layout.cells;
        let here = cells[arrow.from].column;
        let target = cells[arrow.to].column;
        let nearer = self.arrows.iter().filter(|other| {
            let there = cells[other.to].column;
            other.from == arrow.from
                && cells[other.to].row == Row::Lower
                && (there < here) == (target < here)
                && there != here
                && there.abs_diff(here) < target.abs_diff(here)
        });
        let away = 28 * (nearer.count() as i32 + 1);
        let centre = self.centre(arrow.from);
        match target.cmp(&here) {
            std::cmp::Ordering::Less if self.has_several(arrow.from) => centre - away,
            std::cmp::Ordering::Greater if self.has_several(arrow.from) => centre + away,
            _ => centre,
        }
    }

    /// Whether more than one arrow leaves downwards, so that each needs a place of its own.
    fn has_several(&self, from: usize) -> bool {
        let cells = &self.layout.cells;
        let down = self
            .arrows
            .iter()
            .filter(|a| a.from == from && cells[a.to].row == Row::Lower);
        down.count() > 1
    }

    fn up(&self, svg: &mut String, arrow: &Arrow) {
        let (x, (_, top)) = (self.centre(arrow.from) - 24, self.corner(arrow.from));
        let (end, (_, y)) = (self.centre(arrow.to) - 24, self.corner(arrow.to));
        let lane = top - 24;
        line(
            svg,
            arrow.line,
            &format!("M{x} {top} V{lane} H{end} V{}", y + BOX_HEIGHT + 2),
        );
        text(svg, "label", (x - 9, top - 8), "end", &arrow.label);
    }

    /// Below those who stand between.
    fn under(&self, svg: &mut String, arrow: &Arrow) {
        let (x, (_, y)) = (self.centre(arrow.from), self.corner(arrow.from));
        let end = self.centre(arrow.to);
        let (bottom, lane) = (y + BOX_HEIGHT, y + BOX_HEIGHT + LANE);
        line(
            svg,
            arrow.line,
            &format!("M{x} {bottom} V{lane} H{end} V{}", bottom + 2),
        );
        text(
            svg,
            "label",
            (i32::midpoint(x, end), lane - 5),
            "middle",
            &arrow.label,
        );
    }

    fn foot(&self, svg: &mut String) {
        let (left, upper, _, height) = self.task();
        text(
            svg,
            "small",
            (left + MARGIN, upper + height + 27),
            "start",
            &caption(self.plan),
        );
        svg.push_str("</svg>\n");
    }
}

/// What is written on the arrow into the task.
fn door(plan: &Plan) -> String {
    match plan.public() {
        Some(public) => format!("{} :{}", public.interface, public.port),
        None => "new object".to_owned(),
    }
}
