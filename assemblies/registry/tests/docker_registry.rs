//! Tests the client against another implementation: Debian's `docker-registry`.

#![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]
#![allow(clippy::print_stderr, reason = "a skipped test prints a message")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use registry::{Client, Credentials, Digest, ErrorKind, Limits, Platform};
use tempfile::TempDir;

const PROGRAM: &str = "/usr/bin/docker-registry";
const CONFIG: &str =
    r#"{"os":"linux","architecture":"arm64","rootfs":{"type":"layers","diff_ids":[]}}"#;
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A running registry with empty storage.
struct Debian {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Debian {
    fn start() -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            eprintln!("skipped: docker_registry needs Debian's docker-registry (tests/setup test)");
            return None;
        }

        let folder = TempDir::new().unwrap();
        let config = folder.path().join("config.yml");
        let store = folder.path().join("store");
        let text = format!(
            "version: 0.1\nlog: {{ level: info, formatter: text }}\nstorage:\n  filesystem: {{ rootdirectory: '{}' }}\nhttp: {{ addr: '127.0.0.1:0' }}\n",
            store.display()
        );

        std::fs::write(&config, text).unwrap();
        let mut process = Command::new(PROGRAM)
            .args([Path::new("serve"), &config])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();

        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        // Port 0 selects a free port, which only the log shows.
        let address = lines.by_ref().map(Result::unwrap).find_map(|line| {
            let at = line.split_once("listening on ")?.1;
            let end = at.find(|c: char| !c.is_ascii_digit() && !".:".contains(c));
            Some(at[..end.unwrap_or(at.len())].to_owned())
        });

        // Drains stderr, so that the registry never blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            process,
            address: address.unwrap(),
            _folder: folder,
        })
    }

    /// Uploads a document with curl.
    fn put(&self, path: &str, kind: &str, body: &str) {
        let url = format!("http://{}{path}", self.address);
        let status = Command::new("curl")
            .args(["--silent", "--fail", "--noproxy", "*", "-X", "PUT", "-H"])
            .args([
                &format!("Content-Type: {kind}"),
                "--data-binary",
                body,
                &url,
            ])
            .status()
            .unwrap();
        assert!(status.success(), "{path}");
    }

    fn put_blob(&self, body: &str) -> Digest {
        let url = format!("http://{}/v2/web/blobs/uploads/", self.address);
        let output = Command::new("curl")
            .args(["--silent", "--noproxy", "*", "-X", "POST", "-D", "-", &url])
            .output()
            .unwrap();
        let headers = String::from_utf8(output.stdout).unwrap();
        let found = headers.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location")
                .then(|| value.trim().to_owned())
        });
        let upload = found.unwrap();
        // The upload URL may be absolute or relative (OCI distribution specification).
        let path = upload
            .split_once(&self.address)
            .map_or(upload.as_str(), |(_, path)| path);

        let digest = Digest::from_content(body.as_bytes());
        let encoded_digest = digest.as_str().replace(':', "%3A");
        self.put(
            &format!("{path}&digest={encoded_digest}"),
            "application/octet-stream",
            body,
        );

        digest
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn resolves_images_and_indexes_and_reports_missing_ones() {
    let Some(debian) = Debian::start() else {
        return;
    };
    let config = debian.put_blob(CONFIG);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{}}},"layers":[]}}"#,
        CONFIG.len()
    );

    debian.put("/v2/web/manifests/arm", OCI_MANIFEST, &manifest);
    let manifest_digest = Digest::from_content(manifest.as_bytes());
    // An index that contains the manifest above.
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{manifest_digest}","size":{},"platform":{{"os":"linux","architecture":"arm64"}}}}]}}"#,
        manifest.len()
    );

    debian.put("/v2/web/manifests/all", OCI_INDEX, &index);

    let client = Client::new(Credentials::default(), Limits::default()).unwrap();
    let arm = [Platform::new("linux", "arm64")];
    let image = |suffix: &str| format!("{}/web{suffix}", debian.address);
    let single = client.resolve(&image(":arm"), &arm).await.unwrap();

    assert_eq!(
        (single.digest, &single.platforms[..]),
        (manifest_digest.clone(), &arm[..])
    );

    let all = client.resolve(&image(":all"), &arm).await.unwrap();
    assert_eq!(all.digest, Digest::from_content(index.as_bytes()));
    let by_digest = client
        .resolve(&image(&format!("@{manifest_digest}")), &arm)
        .await
        .unwrap();

    assert_eq!(by_digest.digest, manifest_digest);
    let missing = client.resolve(&image(":none"), &arm).await.unwrap_err();
    assert!(
        matches!(missing.kind, ErrorKind::NotFound { .. }),
        "{missing}"
    );
}
