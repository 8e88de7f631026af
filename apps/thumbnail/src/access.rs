//! Opens films and stores pictures, wherever they are.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use tokio::time::sleep;

use crate::client::{Network, Reach};
use crate::location::{Location, Object};
use crate::s3::Aws;
use crate::source::http::{self as remote, Allowance, LAST_PAUSE, Redirects};
use crate::source::spool::Room;
use crate::source::{FileSource, RangeSource, Traffic};
use crate::{Error, Kind, Picture};

/// The ways to files, web servers and buckets.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) network: Network,
    pub(crate) aws: Aws,
    pub(crate) room: Room,
    pub(crate) redirects: Redirects,
}

impl Access {
    /// The same ways, for addresses that clients name: redirects may lead past what was allowed.
    pub(crate) fn for_clients(&self, reach: Reach) -> Self {
        let network = self.network.reaching(reach);
        Self {
            network,
            redirects: Redirects::Refuse,
            ..self.clone()
        }
    }

    /// Opens a film.
    pub(crate) async fn open(
        &self,
        location: &Location,
        deadline: Instant,
        traffic: Arc<Traffic>,
    ) -> Result<Box<dyn RangeSource>, Error> {
        let redirects = self.redirects;
        let allowance = Allowance {
            room: self.room,
            deadline,
            redirects,
        };

        match location {
            Location::File(path) => Ok(Box::new(FileSource::open(path, traffic)?)),
            Location::Http(uri) => {
                let client = self.network.client();
                remote::open(client, uri.clone(), None, allowance, traffic).await
            }
            Location::S3(object) => {
                let client = self.network.reaching(Reach::Everywhere).client();
                let signer = Some(self.aws.signer(&self.network));
                remote::open(
                    client,
                    self.aws.address(object)?,
                    signer,
                    allowance,
                    traffic,
                )
                .await
            }
        }
    }

    /// Stores a picture: all of it, or nothing.
    pub(crate) async fn store(&self, location: &Location, picture: &Picture) -> Result<(), Error> {
        match location {
            Location::File(path) => store_file(path, &picture.bytes),
            Location::S3(object) => self.store_object(object, picture).await,
            Location::Http(_) => Err(Error::new(
                Kind::Usage,
                "a picture cannot be stored on a web server; use a file or s3://bucket/key",
            )),
        }
    }

    async fn store_object(&self, object: &Object, picture: &Picture) -> Result<(), Error> {
        let uri = self.aws.address(object)?;
        let signer = self.aws.signer(&self.network);
        let mut client = self.network.reaching(Reach::Everywhere).client();
        let mut pause = Duration::from_millis(100);

        loop {
            let mut request = Request::put(&uri)
                .header(header::CONTENT_TYPE, picture.format.content_type())
                .header(header::CONTENT_LENGTH, picture.bytes.len())
                .body(Bytes::from(picture.bytes.clone()))
                .map_err(|error| failed(object).because(error))?;

            signer
                .sign(&mut request)
                .await
                .map_err(|error| denied(object, &error))?;
            let failure = match client.send(&request, PATIENCE).await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) if remote::passes(response.status()) => remote::refusal(&response),
                Ok(response) if is_denied(response.status()) => {
                    return Err(denied(object, &remote::refusal(&response)));
                }
                Ok(response) => {
                    return Err(failed(object).because(remote::refusal(&response).chain()));
                }
                Err(error) => error,
            };

            if pause > LAST_PAUSE {
                return Err(failed(object).because(failure.chain()));
            }
            sleep(pause).await;
            pause *= 2;
        }
    }
}

/// Writes beside the place and moves there: nobody sees half a picture.
fn store_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;

    let refuse = |error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                Kind::SinkDenied
            }
            _ => Kind::SinkFailed,
        };
        Error::new(kind, format!("cannot write `{}`", path.display())).because(error)
    };

    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());

    // The umask takes from these what this user wants taken; a temporary file's are too few.
    let mut file = tempfile::Builder::new()
        .prefix(".thumbnail-")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .map_err(refuse)?;

    file.write_all(bytes).map_err(refuse)?;
    file.persist(path).map_err(|error| refuse(error.error))?;
    Ok(())
}

fn failed(object: &Object) -> Error {
    let Object { bucket, key } = object;
    Error::new(
        Kind::SinkFailed,
        format!("cannot write `s3://{bucket}/{key}`"),
    )
}

fn denied(object: &Object, error: &Error) -> Error {
    let Object { bucket, key } = object;
    Error::new(
        Kind::SinkDenied,
        format!("may not write `s3://{bucket}/{key}`"),
    )
    .because(error.chain())
}

fn is_denied(status: StatusCode) -> bool {
    status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED
}

/// How long one attempt to store may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        store_file(&path, b"old").unwrap();
        store_file(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_failure_of_the_sink() {
        let folder = tempfile::tempdir().unwrap();
        let error = store_file(&folder.path().join("no/a.jpg"), b"x").unwrap_err();
        assert_eq!(error.kind(), Kind::SinkFailed);
    }
}
