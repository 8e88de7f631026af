//! The progress of a push: a line that is redrawn on a terminal, and lines from time to time elsewhere.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use registry::format_bytes;
use registry::push::Progress;

use crate::ui::{STATUS_LINE, Ui};

/// Shows the progress until the push ends, and returns its result.
pub(super) async fn watch<T>(
    push: impl Future<Output = T>,
    progress: &Progress,
    name: &str,
    ui: &Ui,
) -> T {
    let is_terminal = stderr().is_terminal() && !ui.is_quiet();
    let interval = if is_terminal { REDRAW } else { LINE };
    let (started, mut push) = (Instant::now(), std::pin::pin!(push));

    loop {
        let outcome = tokio::time::timeout(interval, &mut push).await;
        if let Ok(outcome) = outcome {
            if is_terminal && STATUS_LINE.swap(false, Ordering::Relaxed) {
                let _ = stderr().write_all(b"\r\x1b[2K");
            }
            return outcome;
        }

        let (done, total) = (progress.done_bytes(), progress.total_bytes());
        let line = format_line(name, done, total, started.elapsed());
        if is_terminal {
            STATUS_LINE.store(true, Ordering::Relaxed);
            let _ = stderr().write_all(format!("\r\x1b[2K{line}").as_bytes());
        } else {
            ui.message(&line);
        }
    }
}

/// Formats `web  [#####     ]  1.20 MB of 2.40 MB  600.0 kB/s`.
fn format_line(name: &str, done: u64, total: u64, elapsed: Duration) -> String {
    // 0 of 0 bytes before the size is known.
    let filled = (done * BAR_WIDTH as u64).checked_div(total).unwrap_or(0) as usize;
    let bar = "#".repeat(filled.min(BAR_WIDTH));
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    format!(
        "{name}  [{bar:<BAR_WIDTH$}]  {} of {}  {}/s",
        format_bytes(done),
        format_bytes(total),
        format_bytes(rate as u64)
    )
}

const REDRAW: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(10);
const BAR_WIDTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_a_line_at_the_start_the_middle_and_the_end() {
        let second = Duration::from_secs(1);
        assert!(format_line("web", 0, 0, second).ends_with("0 B of 0 B  0 B/s"));
        let middle = format_line("web", 1_200_000, 2_400_000, second * 2);
        assert_eq!(
            middle,
            "web  [############            ]  1.20 MB of 2.40 MB  600.0 kB/s"
        );
        assert!(format_line("web", 5, 5, second).contains(&"#".repeat(BAR_WIDTH)));
    }
}
