//! Opens videos and stores pictures at any location.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use chassis::http::client::{AddressPolicy, Client};
use http::{Request, StatusCode, header};
use tokio::time::sleep;

use crate::client::send;
use crate::location::{Location, Object};
use crate::s3::Aws;
use crate::source::http::{self as remote, FetchOptions, MAX_BACKOFF, Redirects};
use crate::source::spool::SpoolBudget;
use crate::source::{FileSource, RangeSource, Traffic};
use crate::{Error, ErrorKind, Picture};

/// Access to files, web servers and S3.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// The client for web servers.
    pub(crate) client: Client,
    /// The client for S3: its endpoint is configuration and may be private, as with a VPC endpoint.
    pub(crate) s3_client: Client,
    pub(crate) aws: Aws,
    pub(crate) budget: SpoolBudget,
    pub(crate) redirects: Redirects,
}

impl Access {
    /// Returns access for URLs that clients choose: redirects are refused, since they could leave the
    /// allowed prefixes.
    pub(crate) fn for_clients(&self, policy: AddressPolicy) -> Self {
        Self {
            client: self.client.with_addresses(policy),
            redirects: Redirects::Refuse,
            ..self.clone()
        }
    }

    /// Opens a video.
    pub(crate) async fn open(
        &self,
        location: &Location,
        deadline: Instant,
        traffic: Arc<Traffic>,
    ) -> Result<Box<dyn RangeSource>, Error> {
        let redirects = self.redirects;
        let options = FetchOptions {
            budget: self.budget.clone(),
            deadline,
            redirects,
        };

        match location {
            Location::File(path) => Ok(Box::new(FileSource::open(path, traffic)?)),
            Location::Http(uri) => {
                let client = self.client.clone();
                remote::open(client, uri.clone(), None, options, traffic).await
            }
            Location::S3(object) => {
                let client = self.s3_client.clone();
                let signer = Some(self.aws.signer(&client));
                remote::open(
                    client,
                    self.aws.object_uri(object)?,
                    signer,
                    options,
                    traffic,
                )
                .await
            }
        }
    }

    /// Stores a picture atomically.
    pub(crate) async fn store(&self, location: &Location, picture: &Picture) -> Result<(), Error> {
        match location {
            Location::File(path) => store_file(path, &picture.bytes),
            Location::S3(object) => self.store_object(object, picture).await,
            Location::Http(_) => Err(Error::new(
                ErrorKind::Usage,
                "cannot store a picture on a web server; use a file or s3://bucket/key",
            )),
        }
    }

    async fn store_object(&self, object: &Object, picture: &Picture) -> Result<(), Error> {
        let uri = self.aws.object_uri(object)?;
        let signer = self.aws.signer(&self.s3_client);
        let mut backoff = Duration::from_millis(100);

        loop {
            let mut request = Request::put(&uri)
                .header(header::CONTENT_TYPE, picture.format.content_type())
                .header(header::CONTENT_LENGTH, picture.bytes.len())
                .body(Bytes::from(picture.bytes.clone()))
                .map_err(|error| store_error(object).with_source(error))?;

            // Signed again for each attempt, since signatures carry the time.
            signer
                .sign(&mut request)
                .await
                .map_err(|error| store_denied_error(object, &error))?;
            let error = match send(&self.s3_client, request, REQUEST_TIMEOUT).await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) if remote::is_retryable(response.status()) => {
                    remote::response_error(&response)
                }
                Ok(response) if is_denied(response.status()) => {
                    return Err(store_denied_error(
                        object,
                        &remote::response_error(&response),
                    ));
                }
                Ok(response) => {
                    return Err(
                        store_error(object).with_source(remote::response_error(&response).chain())
                    );
                }
                Err(error) => error,
            };

            if backoff > MAX_BACKOFF {
                return Err(store_error(object).with_source(error.chain()));
            }
            sleep(backoff).await;
            backoff *= 2;
        }
    }
}

/// Returns the file to replace for an output: the target of a link, so that the link stays.
///
/// A device, a FIFO, a socket or a folder is refused: renaming a picture over it would replace it.
pub(crate) fn replaceable_file(path: &Path) -> Result<PathBuf, Error> {
    let refuse = |what: &str| {
        let message = format!("the output `{}` is {what}; use a file", path.display());
        Error::new(ErrorKind::Usage, message)
    };

    let Ok(metadata) = path.symlink_metadata() else {
        return Ok(path.to_owned());
    };
    let target = if metadata.is_symlink() {
        // A link in a folder that others can write to may lead anywhere, but never to a new name.
        path.canonicalize()
            .map_err(|_| refuse("a link to a file that does not exist"))?
    } else {
        path.to_owned()
    };

    match target.metadata() {
        Ok(metadata) if metadata.is_file() => Ok(target),
        Ok(metadata) if metadata.is_dir() => Err(refuse("a folder")),
        _ => Err(refuse("not a regular file")),
    }
}

/// Writes a temporary file in the same folder and renames it, so that readers never see a partial
/// picture.
fn store_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let path = &replaceable_file(path)?;

    let to_error = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                ErrorKind::SinkDenied
            }
            _ => ErrorKind::SinkFailed,
        };
        Error::new(kind, format!("cannot write `{}`", path.display())).with_source(error)
    };

    // In the same folder, since a rename cannot cross file systems.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());

    // The default of a new file, reduced by the umask; temporary files are private otherwise.
    let mut file = tempfile::Builder::new()
        .prefix(".thumbnail-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(to_error)?;

    file.write_all(bytes).map_err(to_error)?;
    file.persist(path).map_err(|error| to_error(error.error))?;
    Ok(())
}

fn store_error(object: &Object) -> Error {
    let Object { bucket, key } = object;
    Error::new(
        ErrorKind::SinkFailed,
        format!("cannot write `s3://{bucket}/{key}`"),
    )
}

fn store_denied_error(object: &Object, error: &Error) -> Error {
    let Object { bucket, key } = object;
    Error::new(
        ErrorKind::SinkDenied,
        format!("access denied to write `s3://{bucket}/{key}`"),
    )
    .with_source(error.chain())
}

fn is_denied(status: StatusCode) -> bool {
    status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED
}

/// The timeout of one attempt to store an object.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_file_and_leaves_no_temporary_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        store_file(&path, b"old").unwrap();
        store_file(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn writes_through_a_link_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.jpg"), folder.path().join("b.jpg"));
        std::fs::write(&file, b"old").unwrap();
        std::os::unix::fs::symlink("a.jpg", &link).unwrap();

        store_file(&link, b"new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
    }

    #[test]
    fn refuses_what_is_not_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (link, socket) = (folder.path().join("link"), folder.path().join("socket"));
        std::os::unix::fs::symlink("missing", &link).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();

        for path in [&link, &socket, folder.path(), Path::new("/dev/null")] {
            let before = path.symlink_metadata().unwrap().file_type();
            let error = store_file(path, b"x").unwrap_err();

            assert_eq!(error.kind(), ErrorKind::Usage, "{}", path.display());
            assert_eq!(path.symlink_metadata().unwrap().file_type(), before);
        }
    }

    #[test]
    fn fails_when_the_folder_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let error = store_file(&folder.path().join("no/a.jpg"), b"x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SinkFailed);
    }
}
