//! Lines and words of an SVG picture.

use std::fmt::Write as _;

use super::layout::Line;

/// A line with a head.
pub(super) fn line(svg: &mut String, line: Line, path: &str) {
    let _ = writeln!(svg, "<path class=\"{}\" d=\"{path}\"/>", line_class(line));
}

/// A line without a head.
pub(super) fn stroke(svg: &mut String, line: Line, path: &str) {
    let dashed = if line == Line::Dashed { " dashed" } else { "" };
    let _ = writeln!(svg, "<path class=\"stroke{dashed}\" d=\"{path}\"/>");
}

/// The class of a line with a head.
pub(super) fn line_class(line: Line) -> &'static str {
    match line {
        Line::Solid => "stroke head",
        Line::Dashed => "stroke head dashed",
    }
}

/// Words at a point.
pub(super) fn text(svg: &mut String, class: &str, at: (i32, i32), anchor: &str, words: &str) {
    let (x, y) = at;
    let words = escaped(words);
    let _ = writeln!(
        svg,
        "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

/// Text as XML wants it.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// How everything looks; colours that read on a light page and on a dark one.
pub(super) const STYLE: &str = r##"<defs>
<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0.5 L10 5 L0 9.5 Z" fill="#475569"/></marker>
<style>
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1e293b; }
.title { font-size: 17px; font-weight: 700; }
.name { font-size: 14px; font-weight: 600; }
.small { font-size: 12px; fill: #475569; }
.label { font-size: 12px; fill: #334155; }
.page { fill: #f1f5f9; stroke: #cbd5e1; }
.task { fill: #ffffff; stroke: #64748b; stroke-width: 1.5; stroke-dasharray: 7 4; }
.outside { fill: #e2e8f0; stroke: #94a3b8; }
.hop { fill: #dbeafe; stroke: #2563eb; stroke-width: 1.5; }
.app { fill: #fef3c7; stroke: #d97706; stroke-width: 2; }
.sidecar { fill: #dcfce7; stroke: #16a34a; stroke-width: 1.5; }
.init { fill: #f3e8ff; stroke: #9333ea; stroke-width: 1.5; }
.stroke { fill: none; stroke: #475569; stroke-width: 1.5; }
.head { marker-end: url(#head); }
.dashed { stroke-dasharray: 4 4; }
</style>
</defs>
"##;
