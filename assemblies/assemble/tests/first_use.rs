//! Common mistakes of a first-time user, and the messages for them.

mod support;

use support::Project;

/// Checks a file with this name and content, and returns the exit code and all output.
fn check(name: &str, bytes: impl AsRef<[u8]>) -> (Option<i32>, String) {
    let project = Project::new();
    project.write(name, bytes);
    let output = project.assemble(&["check", name]);
    (output.code, output.out + &output.err)
}

#[test]
fn a_misspelt_component() {
    let (code, text) = check("a.yaml", "name: a\napp: wbe\nservice: {}\n");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("there is no component `wbe`") && text.contains("hint: write `web`"),
        "{text}"
    );
}

#[test]
// YAML forbids tabs for indentation; the parser's own message does not say so.
fn a_tab_in_yaml() {
    let (code, text) = check("a.yaml", "name: a\napp: web\nservice:\n\tmin: 1\n");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("a.yaml:4:") && text.contains("indent the line with spaces instead of a tab"),
        "{text}"
    );
}

#[test]
fn a_missing_value_and_a_misspelt_one() {
    let (_, text) = check(
        "a.yaml",
        "name: a\napp: web\nservice: {}\nsettings: { web: { greeting: '${hello} ${regoin}' } }\n",
    );
    assert!(text.contains("pass `--value hello=…`"), "{text}");
    assert!(text.contains("hint: write `${region}`"), "{text}");
}

#[test]
fn localhost_instead_of_an_address() {
    let (_, text) = check(
        "a.yaml",
        "name: a\napp: web\nservice: {}\nsettings: { web: { listen: 'localhost:9000' } }\n",
    );
    assert!(
        text.contains("`localhost:9000` is not an address to listen on"),
        "{text}"
    );
    assert!(text.contains("hint: write `127.0.0.1:9000`"), "{text}");
}

#[test]
fn a_trailing_comma_in_json() {
    let task = r#"{ "family": "web", "cpu": "256", "memory": "512", "networkMode": "awsvpc",
  "requiresCompatibilities": ["FARGATE"],
  "containerDefinitions": [{ "name": "web", "image": "web:1" },],
}"#;
    let (code, text) = check("task.json", task);

    // 0: the file is valid YAML and describes a valid task, so it is only a warning.
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("warning[Y01]") && text.contains("task.json:3:"),
        "{text}"
    );
    assert!(
        text.contains("trailing comma") && text.contains("AWS CLI"),
        "{text}"
    );

    // In a `.yaml` file the same text is fine, and valid JSON has no warning.
    let (_, text) = check("task.yaml", task);
    assert!(!text.contains("Y01"), "{text}");
    let (_, text) = check(
        "task.json",
        task.replace("],\n}", "]\n}").replace("},]", "}]"),
    );
    assert!(!text.contains("Y01"), "{text}");
}

#[test]
fn a_list_instead_of_a_map_and_a_string_instead_of_a_list() {
    let (_, text) = check(
        "a.yaml",
        "name: a\napp: web\nservice: {}\ningress: tls\nsettings:\n  - web: { greeting: hi }\n",
    );

    assert!(
        text.contains("hint: write a map: the same lines without `-`"),
        "{text}"
    );

    assert!(
        text.contains("hint: write a list: put it into `[` and `]`"),
        "{text}"
    );
}

#[test]
fn a_setting_of_another_component() {
    let project = Project::new();
    project.write("sidecars/tls/component.yaml", support::PROXY);
    // `greeting` is a setting of `web`.
    let text =
        "name: a\napp: web\ningress: [tls]\nservice: {}\nsettings: { tls: { greeting: hello } }\n";

    project.write("a.yaml", text);
    let output = project.assemble(&["check", "a.yaml"]);
    assert!(
        output.out.contains("`tls` has no setting `greeting`"),
        "{}",
        output.out
    );
    assert!(output.out.contains("a.yaml:5:"), "{}", output.out);
}

#[test]
fn a_verb_and_a_flag_that_do_not_exist() {
    let project = Project::new();
    let output = project.assemble(&["rendr", "shop"]);
    assert_eq!(output.code, Some(2));
    // clap's suggestion.
    assert!(
        output.err.contains("similar") && output.err.contains("'render'"),
        "{}",
        output.err
    );

    let output = project.assemble(&["check", "--formt", "json"]);
    assert!(output.err.contains("'--format'"), "{}", output.err);

    // The names that other linters use.
    for verb in ["lint", "validate"] {
        assert_eq!(project.assemble(&[verb]).code, Some(0));
    }
}

#[test]
fn a_missing_file() {
    let project = Project::new();
    // The wrong extension, a Windows path, and swapped letters.
    let path = [
        "assemblies/shop.yml",
        "assemblies\\shop.yaml",
        "assemblies/shpo.yaml",
    ];

    for path in path {
        let output = project.assemble(&["check", path]);
        assert_eq!(output.code, Some(2));
        assert!(
            output.err.contains("did you mean `assemblies/shop.yaml`?"),
            "{}",
            output.err
        );
        // With nothing checked, a total would be misleading.
        assert!(!output.err.contains("no findings"), "{}", output.err);
    }
}

#[test]
fn an_assembly_by_its_name_and_a_misspelt_one() {
    let project = Project::new();
    assert_eq!(project.assemble(&["check", "shop"]).code, Some(0));
    let output = project.assemble(&["render", "shpo"]);
    assert!(
        output
            .err
            .contains("assembly `shpo` not found; did you mean `shop`?"),
        "{}",
        output.err
    );

    project.write("assemblies/other.yml", support::SHOP);
    let output = project.assemble(&["render", "other"]);
    assert!(
        output
            .err
            .contains("rename `assemblies/other.yml` to `.yaml`"),
        "{}",
        output.err
    );
}

#[test]
fn a_directory_without_files_to_check() {
    let project = Project::new();
    project.write("notes/notes.json", r#"{ "text": "nothing" }"#);
    let output = project.assemble(&["check", "notes"]);
    assert_eq!(output.code, Some(2));
    assert!(
        output
            .err
            .contains("`notes` has no task definition, service, template or manifest"),
        "{}",
        output.err
    );
}

#[test]
fn an_empty_file_and_one_without_fields() {
    let (code, text) = check("a.yaml", "");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("the file is empty") && text.contains("`assemble new`"),
        "{text}"
    );

    let (_, text) = check("a.yaml", "hello world\n");
    assert!(
        text.contains("the file must be a map of fields, but this is a string"),
        "{text}"
    );
}

#[test]
fn bytes_that_are_not_text() {
    // 0xC3 starts a two-byte sequence, and 0x28 cannot continue it.
    let (code, text) = check("a.yaml", [b'n', 0xC3, 0x28]);
    assert_eq!(code, Some(2));
    assert!(
        text.contains("`a.yaml` is not text: byte 2 is not UTF-8"),
        "{text}"
    );
    // The byte order mark of UTF-16, little endian.
    let (_, text) = check("a.yaml", [0xFF, 0xFE, b'n', 0]);
    assert!(text.contains("is UTF-16 text; save it as UTF-8"), "{text}");
}

#[test]
fn accepts_windows_line_ends_and_a_byte_order_mark() {
    let project = Project::new();
    // CRLF, and a byte order mark.
    for text in [
        "name: a\r\napp: web\r\nservice: {}\r\n",
        "\u{feff}name: a\napp: web\nservice: {}\n",
    ] {
        project.write("a.yaml", text);
        assert_eq!(project.assemble(&["check", "a.yaml"]).code, Some(0));
    }

    project.write("a.yaml", "name: a\r\napp: wbe\r\nservice: {}\r\n");
    let output = project.assemble(&["check", "a.yaml"]);
    assert!(
        output.out.contains("a.yaml:2:6") && !output.out.contains('\r'),
        "{:?}",
        output.out
    );
}

#[test]
fn a_directory_without_a_project() {
    let folder = Project::empty();
    let output = folder.assemble(&["check"]);
    assert_eq!(output.code, Some(2));
    assert!(
        output.err.contains("found no `assemblies/`"),
        "{}",
        output.err
    );

    assert!(
        output.err.contains("assemble new assembly NAME"),
        "{}",
        output.err
    );
}
