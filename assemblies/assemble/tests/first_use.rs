//! Mistakes that somebody makes on the first day, and what they read.

mod support;

use support::Project;

/// What `check` says about a manifest with these bytes, or about any file.
fn check(name: &str, bytes: impl AsRef<[u8]>) -> (Option<i32>, String) {
    let project = Project::new();
    project.write(name, bytes);
    let said = project.assemble(&["check", name]);
    (said.code, said.out + &said.err)
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
fn a_tab_in_yaml() {
    let (code, text) = check("a.yaml", "name: a\napp: web\nservice:\n\tmin: 1\n");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("a.yaml:4:") && text.contains("replace the tab"),
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
    assert!(text.contains("`localhost:9000` is no address"), "{text}");
    assert!(text.contains("hint: write `127.0.0.1:9000`"), "{text}");
}

#[test]
fn a_comma_too_many_in_json() {
    let task = r#"{ "family": "web", "cpu": "256", "memory": "512", "networkMode": "awsvpc",
  "requiresCompatibilities": ["FARGATE"],
  "containerDefinitions": [{ "name": "web", "image": "web:1" },],
}"#;
    let (code, text) = check("task.json", task);

    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("warning[Y01]") && text.contains("task.json:3:"),
        "{text}"
    );
    assert!(
        text.contains("trailing comma") && text.contains("AWS CLI"),
        "{text}"
    );

    let (_, text) = check("task.yaml", task);
    assert!(!text.contains("Y01"), "{text}");
    let (_, text) = check(
        "task.json",
        task.replace("],\n}", "]\n}").replace("},]", "}]"),
    );
    assert!(!text.contains("Y01"), "{text}");
}

#[test]
fn a_list_instead_of_a_map_and_a_word_instead_of_a_list() {
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
fn the_setting_of_another_component() {
    let project = Project::new();
    project.write("sidecars/tls/component.yaml", support::PROXY);
    let text =
        "name: a\napp: web\ningress: [tls]\nservice: {}\nsettings: { tls: { greeting: hello } }\n";

    project.write("a.yaml", text);
    let said = project.assemble(&["check", "a.yaml"]);
    assert!(
        said.out.contains("`tls` has no setting `greeting`"),
        "{}",
        said.out
    );
    assert!(said.out.contains("a.yaml:5:"), "{}", said.out);
}

#[test]
fn a_verb_and_a_flag_that_do_not_exist() {
    let project = Project::new();
    let said = project.assemble(&["rendr", "shop"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("similar") && said.err.contains("'render'"),
        "{}",
        said.err
    );

    let said = project.assemble(&["check", "--formt", "json"]);
    assert!(said.err.contains("'--format'"), "{}", said.err);

    // Others call it so.
    for verb in ["lint", "validate"] {
        assert_eq!(project.assemble(&[verb]).code, Some(0));
    }
}

#[test]
fn a_file_that_is_not_there() {
    let project = Project::new();
    let path = [
        "assemblies/shop.yml",
        "assemblies\\shop.yaml",
        "assemblies/shpo.yaml",
    ];

    for path in path {
        let said = project.assemble(&["check", path]);
        assert_eq!(said.code, Some(2));
        assert!(
            said.err.contains("did you mean `assemblies/shop.yaml`?"),
            "{}",
            said.err
        );
        assert!(!said.err.contains("no findings"), "{}", said.err);
    }
}

#[test]
fn an_assembly_by_its_name_or_nearly() {
    let project = Project::new();
    assert_eq!(project.assemble(&["check", "shop"]).code, Some(0));
    let said = project.assemble(&["render", "shpo"]);
    assert!(
        said.err
            .contains("there is no assembly `shpo`; did you mean `shop`?"),
        "{}",
        said.err
    );

    project.write("assemblies/other.yml", support::SHOP);
    let said = project.assemble(&["render", "other"]);
    assert!(
        said.err
            .contains("rename `assemblies/other.yml` to `.yaml`"),
        "{}",
        said.err
    );
}

#[test]
fn a_folder_instead_of_a_file() {
    let project = Project::new();
    let said = project.assemble(&["check", "assemblies"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err
            .contains("`assemblies` is a folder; name the files in it"),
        "{}",
        said.err
    );
}

#[test]
fn a_file_with_nothing_in_it_or_something_else() {
    let (code, text) = check("a.yaml", "");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("the file is empty") && text.contains("`assemble new`"),
        "{text}"
    );

    let (_, text) = check("a.yaml", "hello world\n");
    assert!(
        text.contains("the file must hold fields, but this is a string"),
        "{text}"
    );
}

#[test]
fn bytes_that_are_no_text() {
    let (code, text) = check("a.yaml", [b'n', 0xC3, 0x28]);
    assert_eq!(code, Some(2));
    assert!(
        text.contains("`a.yaml` is no text: byte 2 is not UTF-8"),
        "{text}"
    );
    let (_, text) = check("a.yaml", [0xFF, 0xFE, b'n', 0]);
    assert!(text.contains("is UTF-16 text; save it as UTF-8"), "{text}");
}

#[test]
fn files_from_windows_are_files() {
    let project = Project::new();
    for text in [
        "name: a\r\napp: web\r\nservice: {}\r\n",
        "\u{feff}name: a\napp: web\nservice: {}\n",
    ] {
        project.write("a.yaml", text);
        assert_eq!(project.assemble(&["check", "a.yaml"]).code, Some(0));
    }

    project.write("a.yaml", "name: a\r\napp: wbe\r\nservice: {}\r\n");
    let said = project.assemble(&["check", "a.yaml"]);
    assert!(
        said.out.contains("a.yaml:2:6") && !said.out.contains('\r'),
        "{:?}",
        said.out
    );
}

#[test]
fn a_place_where_nothing_is() {
    let folder = Project::empty();
    let said = folder.assemble(&["check"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.err.contains("there is no folder `assemblies`"),
        "{}",
        said.err
    );

    assert!(
        said.err.contains("assemble new assembly NAME"),
        "{}",
        said.err
    );
}
