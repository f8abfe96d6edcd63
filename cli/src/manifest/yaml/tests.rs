use std::fmt::Write as _;

use serde_json::{Value, json};

use super::*;

fn value(text: &str) -> Value {
    let documents = parse(text).unwrap();
    let [one] = documents.as_slice() else {
        panic!("{documents:?}")
    };
    one.value()
}

fn problem(text: &str) -> (usize, String) {
    let problem = parse(text).unwrap_err();
    (problem.line, problem.to_string())
}

fn is_told(text: &str, line: usize, parts: &[&str]) {
    let (found, reported) = problem(text);
    assert_eq!(found, line, "{reported}");
    for part in parts {
        assert!(reported.contains(part), "{reported}");
    }
}

#[test]
fn every_field_has_its_line() {
    let documents = parse(
        "# note\nkind: A\nspec:\n  list:\n  - x: 1\n    z: 2\n  a.b/c: {d: 1}\n---\nkind: B\n",
    )
    .unwrap();
    let [a, b] = documents.as_slice() else {
        panic!("{documents:?}")
    };
    assert_eq!(
        a.value(),
        json!({"kind": "A", "spec": {"list": [{"x": 1, "z": 2}], "a.b/c": {"d": 1}}})
    );
    assert_eq!((a.line(), b.line()), (2, 9));
    for (path, line) in [
        ("", 2),
        ("kind", 2),
        ("spec", 3),
        ("spec.list[0]", 5),
        ("spec.list[0].z", 6),
        ("spec.list[0].w", 5),
        ("spec.list[1].z", 4),
        ("spec.a.b/c.d", 7),
        ("metadata.name", 2),
    ] {
        assert_eq!(a.line_of(path), line, "{path}");
    }
}

#[test]
fn quotes_make_a_string() {
    let text = "a: 'yes'\nb: \"0755\"\nc: |\n  1\nd: >-\n  true\ne: ''\n";
    let want = json!({"a": "yes", "b": "0755", "c": "1\n", "d": "true", "e": ""});
    assert_eq!(value(text), want);
}

#[test]
fn a_name_is_the_same_as_in_kubectl() {
    let text = "1: a\n0x10: b\nyes: c\n'no': d\nx y: e\n? f\n";
    let want = json!({"1": "a", "16": "b", "true": "c", "no": "d", "x y": "e", "f": null});
    assert_eq!(value(text), want);
    for text in [
        "a: 1\n1.5: x\n",
        "a: 1\n~: x\n",
        "a: 1\n[b]: x\n",
        "a: 1\n{b: c}: x\n",
        "a: 1\n: x\n",
    ] {
        is_told(text, 2, &["the name of a field"]);
    }
}

#[test]
fn a_duplicate_field_is_reported_with_both_lines() {
    is_told(
        "kind: A\nmetadata:\n  name: x\nspec:\n  m:\n    x: 1\n    y: 1\n    \"x\": 2\n",
        8,
        &["A/x: spec.m.x: this field is also in line 6; keep one of them"],
    );
    is_told(
        "a: {1: x, '1': y}\n",
        1,
        &["a.1: this field is also in line 1"],
    );
    is_told("a: {yes: x, true: y}\n", 1, &["a.true: "]);
    is_told(
        "{\"kind\": \"A\",\n\"kind\": \"B\"}",
        2,
        &["A: kind: this field is also in line 1"],
    );
    is_told(
        "a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n",
        4,
        &["b.<<: this field is also in line 3"],
    );
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "a: &a {x: 1, v: [2]}\nb: *a\nc:\n  <<: *a\n  v: 3\nd: {<<: [*a, {x: 5, z: 6}], w: &w 0}\ne: *w\n*w : f\n";
    let want = json!({
        "a": {"x": 1, "v": [2]}, "b": {"x": 1, "v": [2]}, "c": {"x": 1, "v": 3},
        "d": {"x": 1, "v": [2], "z": 6, "w": 0}, "e": 0, "0": "f",
    });
    assert_eq!(value(text), want);
    // In quotes it is a normal name.
    assert_eq!(value("\"<<\": {a: 1}\n"), json!({"<<": {"a": 1}}));
}

#[test]
fn wrong_anchors_and_merge_keys_are_reported() {
    is_told(
        "a: &a {x: 1}\nb:\n  x: 2\n  <<: *a\n",
        4,
        &["b.<<: it would set x, which line 3 sets"],
    );
    for text in [
        "a: 1\n<<: 1\n",
        "a: 1\n<<: [1]\n",
        "a: &a [1]\n<<: *a\n",
        "a: 1\n<<:\n",
    ] {
        is_told(text, 2, &["<<: << takes a map or a list of maps"]);
    }
    is_told("a: 1\nb: *c\n", 2, &["no anchor"]);
    is_told(
        "a: 1\nb: &b [1, *b]\n",
        2,
        &["b[1]: an anchor cannot be used inside its own value"],
    );
    // An anchor is valid in its document only.
    is_told("a: &a 1\n---\nb: *a\n", 3, &["no anchor"]);
}

#[test]
fn tags_of_json_values_are_obeyed_and_others_refused_without_the_value() {
    let text = "a: !!str 5\nb: !!int '0x10'\nc: !!seq [1]\nd: !!map {}\ne: !!str\n";
    assert_eq!(
        value(text),
        json!({"a": "5", "b": 16, "c": [1], "d": {}, "e": ""})
    );
    for tag in ["!!int", "!!binary", "!!timestamp", "!mine", "!"] {
        let (line, reported) = problem(&format!("a: 1\nb: {tag} hunter2\n"));
        assert_eq!(line, 2, "{reported}");
        assert!(
            reported.starts_with(&format!("b: the tag {tag} does not fit")),
            "{reported}"
        );
        assert!(!reported.contains("hunter2"), "{reported}");
    }
    is_told("a: 1\nb: !!set {x}\n", 2, &["b: the tag !!set "]);
}

#[test]
fn a_number_that_json_does_not_have_is_refused() {
    for text in [".inf", "-.Inf", ".nan", "!!float .inf"] {
        is_told(
            &format!("a:\n  b: {text}\n"),
            2,
            &["a.b: JSON has no .inf and .nan"],
        );
    }
}

#[test]
fn empty_documents_are_ignored() {
    let count = |text: &str| parse(text).unwrap().len();
    assert_eq!(count("---\n# nothing\n---\nkind: A\n---\n"), 1);
    assert_eq!(
        count("--- # note\nkind: A\n...\n---\n~\n---\nkind: B\n..."),
        2
    );
    assert_eq!(count(&"---\n".repeat(5_000)), 0);
    assert_eq!(count(&"---\nkind: A\n".repeat(5_000)), 5_000);
    assert_eq!(count(""), 0);
    assert_eq!(count("# only a comment\n"), 0);
}

#[test]
fn documents_that_kubectl_would_silently_drop_are_refused() {
    is_told("kind: A\n...\nkind: B\n", 3, &["write --- above it"]);
}

#[test]
fn json_is_read_with_tabs_and_without_separators() {
    let text = "{\n\t\"kind\": \"A\",\n\t\"spec\": {\n\t\t\"x\": [1, 2.0], \"y\": \"\\/\\ud83d\\ude00\"\n\t}\n}\n";
    assert_eq!(
        value(text),
        json!({"kind": "A", "spec": {"x": [1, 2], "y": "/\u{1f600}"}})
    );
    assert_eq!(parse(text).unwrap()[0].line_of("spec.x"), 4);

    let several = parse("{\"a\": 1}\n{\"b\":\n 2}{\"c\": 3}\n\n{\"d\": {\n\"e\": 4}}\n").unwrap();
    let values: Vec<Value> = several.iter().map(|d| d.value()).collect();
    assert_eq!(
        values,
        [
            json!({"a": 1}),
            json!({"b": 2}),
            json!({"c": 3}),
            json!({"d": {"e": 4}})
        ]
    );
    let lines: Vec<usize> = several.iter().map(|d| d.line()).collect();
    assert_eq!(lines, [1, 2, 3, 5]);
    assert_eq!(several[3].line_of("d.e"), 6);
    // YAML may follow.
    assert_eq!(parse("{\"a\": 1}\n---\nb: 2\n").unwrap().len(), 2);
    is_told("{\"a\": 1}\n{\"b\": 2\n", 2, &["bracket { is not closed"]);
    // Not JSON, but YAML.
    assert_eq!(value("{a: yes, b: [1,],}\n"), json!({"a": true, "b": [1]}));
}

#[test]
fn invalid_yaml_is_reported_with_its_line() {
    is_told(
        "kind: A\nspec: {x: 1\n",
        2,
        &["A: column 7: the bracket { is not closed"],
    );
    is_told("kind: A\nspec:\n\tx: 1\n", 3, &["tab", "spaces"]);
    is_told("kind: A\nspec: a: b\n", 2, &["colon"]);
    is_told("kind: A\nspec: @x\n", 2, &["'@'", "quotes"]);
    is_told("kind: A\nspec: 'x\n", 3, &["a quote is not closed"]);
}

#[test]
fn limits_apply_to_the_expanded_values() {
    // An anchor that is used 5,000 times.
    let mut text = "d: &d {driver: bridge, labels: {a: b, c: d}}\nitems:\n".to_owned();
    for n in 0..5_000 {
        writeln!(text, "- <<: *d\n  n: {n}\n  again: *d").unwrap();
    }
    assert_eq!(value(&text)["items"].as_array().unwrap().len(), 5_000);

    // Ten in ten in ten and so on.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..30 {
        let last = format!("*a{}", n - 1);
        writeln!(bomb, "a{n}: &a{n} [{}]", [last.as_str(); 10].join(", ")).unwrap();
    }
    is_told(
        &bomb,
        7,
        &["a6: ", "more than 2000000 values", "split the file"],
    );

    let text = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(1 << 20),
        ["*a"; 200].join(", ")
    );
    is_told(&text, 2, &["b: more than 128 MiB of text"]);

    is_told(
        &format!("a:\n  {}\n", "[".repeat(5_000)),
        2,
        &["100 levels"],
    );
    let mut deep = "a0: &a0 [x]\n".to_owned();
    for n in 1..200 {
        writeln!(deep, "a{n}: &a{n} [*a{}]", n - 1).unwrap();
    }
    is_told(&deep, 100, &["100 levels"]);
}
