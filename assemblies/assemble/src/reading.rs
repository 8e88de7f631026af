//! Reads a text, and says what to do when it cannot be read.

use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use task_definition::nearest;
use task_definition::source::limits;

use crate::failure::Failure;

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    if path.is_dir() {
        return Err(Failure::Usage(format!(
            "`{}` is a folder; name the files in it",
            path.display()
        )));
    }

    let bytes = read(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => missing(path),
        _ => Failure::File {
            act: "read",
            path: path.to_owned(),
            source,
        },
    })?;

    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let why = match error.as_bytes() {
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "is UTF-16 text; save it as UTF-8".to_owned(),
            _ => format!("is no text: byte {} is not UTF-8", at + 1),
        };
        Failure::Usage(format!("`{}` {why}", path.display()))
    })
}

/// A file's bytes. Its length is asked for first: a text beyond the limit is not even read, and of what
/// does not know its length (a pipe, a device) no more than the limit.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    if length <= limits::BYTES {
        file.take(limits::BYTES + 1).read_to_end(&mut bytes)?;
    }

    let length = length.max(bytes.len() as u64);
    if length > limits::BYTES {
        return Err(io::Error::other(limits::too_long(length)));
    }

    Ok(bytes)
}

/// A file that is not there; what was probably meant is.
fn missing(path: &Path) -> Failure {
    let slashes = path.to_string_lossy().replace('\\', "/");
    let meant = if Path::new(&slashes).is_file() {
        Some(slashes)
    } else {
        neighbour(path)
    };

    let meant = meant.map(|meant| format!("; did you mean `{meant}`?"));
    Failure::Usage(format!(
        "there is no file `{}`{}",
        path.display(),
        meant.unwrap_or_default()
    ))
}

/// The file beside it whose name is nearest.
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
