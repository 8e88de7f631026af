//! `--base`: the image that a program is put on.

use std::path::Path;

use registry::layout::{Layout, import};
use registry::split_name;

use crate::error::CliError;

/// Opens a base: the folder of a layout, or an archive, which is unpacked into `scratch`.
pub(super) fn open(base: &str, scratch: &Path) -> Result<Layout, CliError> {
    // The other commands name a layout with this prefix.
    let base = base.strip_prefix("oci:").unwrap_or(base);
    let (path, name) = split_name(Path::new(base), None);
    let layout = if path.is_dir() {
        Layout::open(&path)
    } else if path.is_file() {
        import(&path, scratch)
    } else {
        return Err(CliError::Usage(format!(
            "the base `{base}` is no file or folder here; save the image first, for example \
             `skopeo copy docker://{base} oci:base`, and use `--base base`"
        )));
    };

    let layout = layout.and_then(|layout| layout.choose(name.as_deref()));
    layout.map_err(|error| CliError::Usage(format!("cannot read the base `{base}`: {error}")))
}
