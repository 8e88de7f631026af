//! The table of built images.

use std::fmt::Write as _;

use registry::format_bytes;

use super::output::BuiltImage;

/// Renders a line for each image and platform.
pub(super) fn render(images: &[BuiltImage]) -> String {
    let mut rows = vec![
        [
            "IMAGE",
            "PLATFORM",
            "PROGRAM",
            "COMPRESSED",
            "BUDGET",
            "DIGEST",
        ]
        .map(str::to_owned),
    ];
    for image in images {
        for size in &image.platforms {
            rows.push([
                image.name.clone(),
                size.platform.clone(),
                format_bytes(size.program),
                format_bytes(size.compressed),
                image.budget.map_or_else(|| "-".to_owned(), format_bytes),
                image.digest.clone(),
            ]);
        }
    }

    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        // The digest is last and has no padding.
        text += &row[5];
        text.push('\n');
    }
    text
}
