//! The same client against a registry that others wrote: Debian's `docker-registry`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use registry::{Client, Credentials, Digest, Limits, Platform, Problem};
use tempfile::TempDir;

const PROGRAM: &str = "/usr/bin/docker-registry";
const CONFIG: &str =
    r#"{"os":"linux","architecture":"arm64","rootfs":{"type":"layers","diff_ids":[]}}"#;
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A running registry with an empty store.
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
        let address = lines.by_ref().map(Result::unwrap).find_map(|line| {
            let at = line.split_once("listening on ")?.1;
            let end = at.find(|c: char| !c.is_ascii_digit() && !".:".contains(c));
            Some(at[..end.unwrap_or(at.len())].to_owned())
        });

        std::thread::spawn(move || lines.for_each(drop));
        Some(Self {
            process,
            address: address.unwrap(),
            _folder: folder,
        })
    }

    /// Puts a document where the protocol wants it, by curl.
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
        let answer = Command::new("curl")
            .args(["--silent", "--noproxy", "*", "-X", "POST", "-D", "-", &url])
            .output()
            .unwrap();
        let headers = String::from_utf8(answer.stdout).unwrap();
        let found = headers.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("location")
                .then(|| value.trim().to_owned())
        });
        let upload = found.unwrap();
        let path = upload
            .split_once(&self.address)
            .map_or(upload.as_str(), |(_, path)| path);

        let digest = Digest::of(body.as_bytes());
        let digest_of = digest.as_str().replace(':', "%3A");
        self.put(
            &format!("{path}&digest={digest_of}"),
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
async fn finds_an_image_and_an_index_by_tag_and_says_what_is_not_there() {
    let Some(debian) = Debian::start() else {
        return;
    };
    let config = debian.put_blob(CONFIG);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":{}}},"layers":[]}}"#,
        CONFIG.len()
    );

    debian.put("/v2/web/manifests/arm", OCI_MANIFEST, &manifest);
    let of_manifest = Digest::of(manifest.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{{"mediaType":"{OCI_MANIFEST}","digest":"{of_manifest}","size":{},"platform":{{"os":"linux","architecture":"arm64"}}}}]}}"#,
        manifest.len()
    );

    debian.put("/v2/web/manifests/all", OCI_INDEX, &index);

    let client = Client::new(Credentials::default(), Limits::default()).unwrap();
    let arm = [Platform::new("linux", "arm64")];
    let image = |which: &str| format!("{}/web{which}", debian.address);
    let one = client.resolve(&image(":arm"), &arm).await.unwrap();

    assert_eq!(
        (one.digest, &one.platforms[..]),
        (of_manifest.clone(), &arm[..])
    );

    let all = client.resolve(&image(":all"), &arm).await.unwrap();
    assert_eq!(all.digest, Digest::of(index.as_bytes()));
    let by_digest = client
        .resolve(&image(&format!("@{of_manifest}")), &arm)
        .await
        .unwrap();

    assert_eq!(by_digest.digest, of_manifest);
    let missing = client.resolve(&image(":none"), &arm).await.unwrap_err();
    assert!(
        matches!(missing.problem, Problem::NotThere { .. }),
        "{missing}"
    );
}
