//! The only place that sees both halves: rides, conformance, arrows, goldens.
