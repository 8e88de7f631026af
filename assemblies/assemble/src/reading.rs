//! Reads text files, with error messages that say what to do.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use diagnostics::nearest;
use diagnostics::source::limits;

use crate::error::CliError;

/// Reads a file as UTF-8 text.
pub(crate) fn text(path: &Path) -> Result<String, CliError> {
    if path.is_dir() {
        return Err(CliError::Usage(format!(
            "`{}` is a directory; pass the files in it",
            path.display()
        )));
    }

    let bytes = read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => missing(path),
        _ => CliError::File {
            act: "read",
            path: path.to_owned(),
            source,
        },
    })?;

    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        // Byte order marks of UTF-16, which some Windows tools write by default.
        let why = match error.as_bytes() {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "is UTF-16 text; save it as UTF-8".to_owned(),
            _ => format!("is not text: byte {} is not UTF-8", at + 1),
        };
        CliError::Usage(format!("`{}` {why}", path.display()))
    })
}

/// Reads a file up to the size limit. A file with a longer length is not read at all; a pipe or device of
/// unknown length is read up to the limit.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    // One byte more than the limit shows that a file without a known length exceeds it.
    if length <= limits::BYTES {
        file.take(limits::BYTES + 1).read_to_end(&mut bytes)?;
    }

    let length = length.max(bytes.len() as u64);
    if length > limits::BYTES {
        return Err(io::Error::other(limits::too_long_message(length)));
    }

    Ok(bytes)
}

/// Returns the error for a missing file, with a suggestion.
fn missing(path: &Path) -> CliError {
    // A path copied from Windows.
    let slashes = path.to_string_lossy().replace('\\', "/");
    let meant = if Path::new(&slashes).is_file() {
        Some(slashes)
    } else {
        neighbour(path)
    };

    let meant = meant.map(|meant| format!("; did you mean `{meant}`?"));
    CliError::Usage(format!(
        "file `{}` not found{}",
        path.display(),
        meant.unwrap_or_default()
    ))
}

/// Returns the file of the same directory with the most similar name.
fn neighbour(path: &Path) -> Option<String> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let files = entries.flatten().filter(|entry| entry.path().is_file());
    let mut names: Vec<String> = files
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();

    names.sort();
    let near = nearest(
        path.file_name()?.to_str()?,
        names.iter().map(String::as_str),
    )?;

    Some(path.with_file_name(near).display().to_string())
}
