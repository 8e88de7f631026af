//! The style sheet, for light and dark mode.

/// Colours are set in classes, not in CSS variables, which some SVG renderers do not support.
pub(super) const STYLE: &str = r#"<defs>
<marker id="request" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path class="request-fill" d="M0 0.5 L10 5 L0 9.5 Z"/></marker>
<marker id="telemetry" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path class="telemetry-fill" d="M0 0.5 L10 5 L0 9.5 Z"/></marker>
<marker id="wait" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto"><path class="wait-fill" d="M0 0.5 L10 5 L0 9.5 Z"/></marker>
<style>
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: #1e293b; }
.title { font-size: 19px; font-weight: 700; }
.name { font-size: 15px; font-weight: 700; }
.plain { font-size: 13px; fill: #334155; }
.small { font-size: 12px; fill: #475569; }
.chip-text { font-size: 12px; font-weight: 600; fill: #334155; }
.open-text { font-size: 12px; font-weight: 600; fill: #ffffff; }
.page { fill: #f1f5f9; stroke: #e2e8f0; }
.task { fill: #ffffff; stroke: #64748b; stroke-width: 1.5; stroke-dasharray: 7 4; }
.outside { fill: #e2e8f0; stroke: #94a3b8; }
.card { fill: #f8fafc; stroke: #cbd5e1; }
.hop { fill: #2563eb; } .app { fill: #d97706; } .sidecar { fill: #16a34a; } .init { fill: #9333ea; } .container { fill: #0891b2; }
.chip { fill: #e2e8f0; stroke: #94a3b8; } .open { fill: #c2410c; stroke: #c2410c; }
.trough { fill: #e2e8f0; }
.edge { fill: none; stroke-width: 1.6; }
.request { stroke: #2563eb; } .telemetry { stroke: #15803d; stroke-dasharray: 5 3; } .wait { stroke: #64748b; stroke-dasharray: 2 3; }
.request-fill { fill: #2563eb; } .telemetry-fill { fill: #15803d; } .wait-fill { fill: #64748b; }
.request-head { marker-end: url(#request); } .telemetry-head { marker-end: url(#telemetry); } .wait-head { marker-end: url(#wait); }
@media (prefers-color-scheme: dark) {
text { fill: #e2e8f0; }
.plain, .chip-text { fill: #cbd5e1; } .small { fill: #a3b1c4; } .open-text { fill: #fff7ed; }
.page { fill: #0d1420; stroke: #1e293b; } .task { fill: #111b2b; stroke: #64748b; } .outside { fill: #1e293b; stroke: #475569; }
.card { fill: #182437; stroke: #334155; }
.hop { fill: #3b82f6; } .app { fill: #f59e0b; } .sidecar { fill: #22c55e; } .init { fill: #a855f7; } .container { fill: #06b6d4; }
.chip { fill: #26354d; stroke: #475569; } .open { fill: #c2410c; stroke: #ea580c; }
.trough { fill: #26354d; }
.request { stroke: #60a5fa; } .telemetry { stroke: #4ade80; } .wait { stroke: #94a3b8; }
.request-fill { fill: #60a5fa; } .telemetry-fill { fill: #4ade80; } .wait-fill { fill: #94a3b8; }
}
</style>
</defs>
"#;
