//! A program of ours in the image that `assemble images build` makes: with nothing but the image and
//! `/etc/resolv.conf`, it resolves names and connects with TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use acceptance::{Network, Process, Project, binary, report_skip, wait_until, workspace};
use tempfile::TempDir;

const PROGRAM: &str = "telemetry-forwarder";
const TARGET: &str = "x86_64-unknown-linux-gnu";
const LIMIT: Duration = Duration::from_secs(30);

/// A name server that answers every name with 127.0.0.1, and a collector that accepts every request.
const COLLECTOR: &str = r#"
import http.server, socket, ssl, threading

def answer_names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    print("names", flush=True)
    while True:
        query, client = server.recvfrom(512)
        end = query.index(b"\0", 12) + 5
        is_v4 = query[end - 4 : end - 2] == b"\0\1"
        # RFC 1035 section 4.1: header, question, and for an A query one answer that points to its name.
        head = query[:2] + b"\x81\x80" + b"\0\1" + (b"\0\1" if is_v4 else b"\0\0") + b"\0\0\0\0"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1" if is_v4 else b""
        server.sendto(head + query[12:end] + answer, client)

class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        print("received", self.path, "for", self.headers["host"], flush=True)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

threading.Thread(target=answer_names, daemon=True).start()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
server = http.server.HTTPServer(("127.0.0.1", 8443), Collector)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("listening", flush=True)
server.serve_forever()
"#;

#[test]
fn a_program_resolves_names_and_connects_with_tls_from_its_image() {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return report_skip("images", "the programs are built for x86-64");
    }
    let network = Network::new();
    let Network::Namespace { user, .. } = &network else {
        return report_skip("images", "the host does not allow network namespaces");
    };

    let project = Project::new();
    let folder = TempDir::new().expect("a folder");
    let root = unpack_image(&static_program(), &project, folder.path());
    let program = fs::read(root.join(PROGRAM)).expect("the program");
    // `.cargo/config.toml` leaves the jitter entropy out; its first use takes 45 ms of CPU time.
    let has_jitter = program.windows(17).any(|text| text == b"jent_entropy_init");
    assert!(!has_jitter, "aws-lc was built with jitter entropy");

    make_certificate(folder.path());
    fs::copy(folder.path().join("cert.pem"), root.join("ca.pem")).expect("copied");
    fs::write(root.join("etc/resolv.conf"), "nameserver 127.0.0.1\n").expect("written");
    let mut collector = network.command("python3");
    collector.args(["-c", COLLECTOR]).current_dir(folder.path());
    let mut collector = Process::start(collector);
    collector.wait_for("names", LIMIT);
    collector.wait_for("listening", LIMIT);

    // Without a user namespace of its own, the test can become the image's user.
    let user = if *user { "0:0" } else { "65532:65532" };
    let in_image = |verb: &str| {
        let mut command = network.command("chroot");
        command.arg(format!("--userspec={user}")).arg(&root);
        command.args([&format!("/{PROGRAM}"), verb]);
        // The program sees only its settings; `chroot` itself is found in the path.
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env(
            "TELEMETRY_FORWARDER_ENDPOINT",
            "https://collector.example:8443",
        );
        command.env("TELEMETRY_FORWARDER_CA_FILE", "/ca.pem");
        command
    };
    let forwarder = Process::start(in_image("serve"));
    let is_healthy = || Process::finish(in_image("probe"), LIMIT).code == 0;
    assert!(
        wait_until(LIMIT, is_healthy),
        "{}{}",
        forwarder.stdout(),
        forwarder.stderr()
    );

    let mut curl = network.command("curl");
    curl.args(["-fsS", "-H", "content-type: application/json", "-d", TRACE]);
    curl.arg("http://127.0.0.1:4318/v1/traces");
    let sent = Process::finish(curl, LIMIT);
    assert_eq!(sent.code, 0, "{}{}", sent.output(), forwarder.stdout());
    collector.wait_for("received /v1/traces for collector.example:8443", LIMIT);
}

const TRACE: &str = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{
    "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"a","kind":1,
    "startTimeUnixNano":"1544712660000000000","endTimeUnixNano":"1544712661000000000"}]}]}]}"#;

/// Builds the program as `images build` does, but as a debug build: an optimized one takes minutes.
fn static_program() -> PathBuf {
    let target = workspace().join("target");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "build",
            "--locked",
            "--quiet",
            "--package",
            PROGRAM,
            "--target",
            TARGET,
        ])
        .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(workspace());
    let built = Process::finish(cargo, Duration::from_mins(15));
    assert_eq!(built.code, 0, "{}", built.output());
    target.join(TARGET).join("debug").join(PROGRAM)
}

/// Makes the image of a program and unpacks it.
fn unpack_image(program: &Path, project: &Project, folder: &Path) -> PathBuf {
    let mut assemble = Command::new(binary("assemble"));
    assemble
        .args([
            "images",
            "build",
            "--compression",
            "gzip",
            "--name",
            PROGRAM,
            "--binary",
        ])
        .arg(program)
        .current_dir(project.root());
    let built = Process::finish(assemble, Duration::from_mins(5));
    // A debug build is over the budget, which is exit code 1; the image is complete.
    assert!(built.code <= 1, "{}", built.output());

    let layout = project.root().join(".assemble/images").join(PROGRAM);
    let blob = |digest: &serde_json::Value| {
        let digest = digest.as_str().expect("a digest").replace(':', "/");
        layout.join("blobs").join(digest)
    };
    let read = |path: PathBuf| -> serde_json::Value {
        serde_json::from_slice(&fs::read(path).expect("a document")).expect("JSON")
    };
    let manifest = &read(layout.join("index.json"))["manifests"][0]["digest"];
    let layer = blob(&read(blob(manifest))["layers"][0]["digest"]);

    let root = folder.join("root");
    fs::create_dir(&root).expect("created");
    let mut tar = Command::new("tar");
    tar.arg("-xpzf").arg(layer).arg("-C").arg(&root);
    let unpacked = Process::finish(tar, LIMIT);
    assert_eq!(unpacked.code, 0, "{}", unpacked.output());
    root
}

fn make_certificate(folder: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    openssl.args(["-nodes", "-days", "2", "-subj", "/CN=collector"]);
    openssl.args(["-addext", "subjectAltName=DNS:collector.example"]);
    // rustls accepts no certificate of an authority for a server.
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    openssl
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder);
    let made = Process::finish(openssl, LIMIT);
    assert_eq!(made.code, 0, "{}", made.output());
}
