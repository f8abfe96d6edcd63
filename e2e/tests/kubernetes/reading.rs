//! Files mean the same to Dockfleet as to kubectl, or are refused. kubectl shows its reading without a
//! cluster: `kubectl patch --local` with an empty patch prints the document as it would send it.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use dockfleet::manifest;
use dockfleet_e2e::kubectl;
use serde_json::Value;

/// A folder for the files of one test.
struct Files(std::path::PathBuf);

impl Files {
    fn new(name: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("reading-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// What kubectl makes of a text: every document in it.
    fn kubectl(&self, text: &str) -> Result<Vec<Value>> {
        let file = self.0.join("kubectl.yaml");
        fs::write(&file, text)?;
        let file = file.display().to_string();
        let args = [
            "patch",
            "--local",
            "--type=merge",
            "-p",
            "{}",
            "-o",
            "json",
            "-f",
            &file,
        ];
        let printed = kubectl(args)?.ok()?;
        let values = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
        Ok(values.collect::<Result<_, _>>()?)
    }

    /// What Dockfleet makes of it, or what it says.
    fn dockfleet(&self, text: &str) -> Result<Vec<Value>> {
        let file = self.0.join("dockfleet.yaml");
        fs::write(&file, text)?;
        let documents = manifest::load(&[file], false);
        let documents = documents.map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            anyhow::anyhow!(errors.join("\n"))
        })?;
        Ok(documents.into_iter().map(|d| d.value).collect())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn document(spec: &str) -> String {
    let spec: Vec<String> = spec.lines().map(|line| format!("  {line}\n")).collect();
    let spec = spec.concat();
    format!(
        "apiVersion: dockfleet.io/v1alpha1\nkind: DockerNetwork\nmetadata:\n  name: lab\nspec:\n{spec}"
    )
}

/// The values in a map, each by its name, in which two readings differ.
fn differences(theirs: &Value, ours: &Value, texts: &[String]) -> Result<Vec<String>> {
    let fields = |value: &Value| value["spec"].as_object().cloned().context("no spec");
    let (theirs, ours) = (fields(theirs)?, fields(ours)?);
    ensure!(
        theirs.len() == texts.len(),
        "{} of {}",
        theirs.len(),
        texts.len()
    );
    ensure!(
        ours.len() == texts.len(),
        "{} of {}",
        ours.len(),
        texts.len()
    );
    let differ = texts.iter().enumerate().filter_map(|(index, text)| {
        let name = format!("v{index}");
        let (theirs, ours) = (theirs.get(&name)?, ours.get(&name)?);
        // A float may be written as a whole number.
        let same = theirs == ours || theirs.is_number() && theirs.as_f64() == ours.as_f64();
        (!same).then(|| format!("{text}: kubectl {theirs}, Dockfleet {ours}"))
    });
    Ok(differ.collect())
}

/// Scalars that are not made of those characters alone, one a line.
const OTHERS: &str = r#"1:30
190:20:30
1:30.5
2026-11-28
2026-1-2
2001-12-14t21:59:43.10-05:00
2001-12-15T02:59:43.1Z
2001-12-14 21:59:43.10 -5
1420.0
1_420
01_420
0x_ff
0XFF
0O17
0B101
0b1111_0000
-0b101
+0b101
0b-101
1e400
.5e400
-1e400
1e-400
12e03
1E+3
9223372036854775807
9223372036854775808
-9223372036854775808
-9223372036854775809
18446744073709551615
18446744073709551616
+18446744073709551615
0xFFFFFFFFFFFFFFFF
0x1FFFFFFFFFFFFFFFF
07777777777777777777777777
1e18
9.3e18
1e19
1e20
1e21
0.1
1.10
3.0
123456789.125
-0.0
1.7976931348623157e308
5e-324
!!str 5
!!str
!!int '0x10'
!!float 1
!!float '1.5'
!!bool yes
!!bool 'no'
!!null ~
!!null ''
'yes'
"0755"
''
"\u263a\t"
'it''s'
[yes, 010, ~]
{a: no, b: 1_0}
a b
a #b
a#b
<<
=
1,000
64Mi
10.20.0.0/24
fd00::/64
::1
é
1 2
0755 
-1
--1
+-1
1970-01-01T00:00:00Z
0777
0o777
0o
0x
1__0
_1
1_
._1
.1_0
1._0
1e1_0"#;

/// Every text of up to `length` of the characters that numbers are made of, and what else means more than
/// its characters.
fn scalars(length: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut last = vec![String::new()];
    for _ in 0..length {
        let longer = last
            .iter()
            .flat_map(|t| "0178_.-+exbo".chars().map(move |c| format!("{t}{c}")));
        last = longer.collect();
        all.extend(last.clone());
    }
    // An item of a list.
    all.retain(|text| text != "-");
    let words = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "~", "t", "f",
        "none",
    ];
    for word in words {
        let (first, rest) = word.split_at(1);
        let title = first.to_uppercase() + rest;
        let odd = first.to_owned() + &rest.to_uppercase();
        all.extend([word.to_owned(), word.to_uppercase(), title, odd]);
    }
    all.extend(OTHERS.lines().map(str::to_owned));
    all.extend(["", "|-\n    1", ">-\n    true\n    false"].map(str::to_owned));
    all
}

#[test]
fn a_scalar_is_to_dockfleet_what_it_is_to_kubectl() -> Result<()> {
    let files = Files::new("scalars")?;
    let texts = scalars(4);
    let lines: Vec<String> = (texts.iter().enumerate())
        .map(|(index, text)| format!("v{index}: {text}\n"))
        .collect();
    let text = document(&lines.concat());
    let (theirs, ours) = (files.kubectl(&text)?, files.dockfleet(&text)?);
    let ([theirs], [ours]) = (theirs.as_slice(), ours.as_slice()) else {
        anyhow::bail!("kubectl {}, Dockfleet {}", theirs.len(), ours.len());
    };
    assert_eq!(differences(theirs, ours, &texts)?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_name_is_to_dockfleet_what_it_is_to_kubectl_or_refused() -> Result<()> {
    let files = Files::new("names")?;
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for text in scalars(3) {
        let line = format!("{text}: 1");
        let is_line = !text.contains(['\n', '#']) && !text.starts_with(['!', '[', '{']);
        if !is_line {
            continue;
        }
        match files.dockfleet(&document(&line)) {
            Ok(_) => taken.push(text),
            Err(_) => refused.push(text),
        }
    }
    let lines: Vec<String> = (taken.iter().enumerate())
        .map(|(index, text)| format!("v{index}:\n  {text}: 1\n"))
        .collect();
    let text = document(&lines.concat());
    let (theirs, ours) = (files.kubectl(&text)?, files.dockfleet(&text)?);
    assert_eq!(
        differences(&theirs[0], &ours[0], &taken)?,
        Vec::<String>::new()
    );
    // Only what is no whole number, no truth and no text, and what takes in other maps.
    let odd: Vec<&String> = refused
        .iter()
        .filter(|t| {
            !t.contains(['.', 'e', 'E', '8', '9'])
                && !["", "~", "null", "Null", "NULL"].contains(&t.as_str())
        })
        .collect();
    assert_eq!(
        odd,
        ["0xFFFFFFFFFFFFFFFF", "07777777777777777777777777", "<<"]
    );
    Ok(())
}

#[test]
fn documents_lists_anchors_and_json_are_to_dockfleet_what_they_are_to_kubectl() -> Result<()> {
    let files = Files::new("documents")?;
    let one = |name: &str| document("a: 1\n").replace("name: lab", &format!("name: {name}"));
    let json = |name: &str| {
        format!(
            "{{\"apiVersion\": \"dockfleet.io/v1alpha1\", \"kind\": \"DockerNetwork\", \"metadata\": {{\"name\": \"{name}\"}}, \
             \"spec\": {{\"mtu\": 1420.0, \"big\": 1e21, \"t\": \"\\ud83d\\ude00\\/\\u0041\", \"n\": null}}}}"
        )
    };
    let list = |kind: &str, items: &str| format!("apiVersion: v1\nkind: {kind}\nitems:\n{items}");
    let item = |name: &str| {
        format!(
            "- apiVersion: dockfleet.io/v1alpha1\n  kind: DockerVolume\n  metadata: {{name: {name}}}\n"
        )
    };
    let cases = [
        document(
            "a: &a {x: 1, z: [1]}\nb: *a\nc: {<<: *a, z: 2}\nd:\n  <<: [{x: 3}, *a]\n  w: 0\ne: {'<<': 1}\n",
        ),
        document(
            "a: |\n  x\n   y\n\nb: >\n  x\n  z\n\n  w\nc: 'x\n\n  z'\nd: \"x \\\n  z\"\ne: a\n  b\n",
        ),
        format!(
            "---\n{}---\n---\n# nothing\n--- # note\n{}...\n---\n{}",
            one("a"),
            one("b"),
            one("c")
        ),
        format!("\u{feff}{}", one("a").replace('\n', "\r\n")),
        json("a"),
        format!("{}\n{}{}\n", json("a"), json("b"), json("c")),
        format!("\n {}\n---\n{}", json("a"), one("b")),
        list("List", &format!("{}{}", item("a"), item("b"))),
        format!("{}---\n{}", list("List", &item("a")), one("b")),
    ];
    for text in &cases {
        assert_eq!(files.kubectl(text)?, files.dockfleet(text)?, "{text}");
    }
    // What they would read otherwise, or in silence not at all, Dockfleet refuses.
    for text in [
        format!("{}...\n{}", one("a"), one("b")),
        document("a: &a {x: 1}\nb:\n  x: 2\n  <<: *a\n"),
        document("a: 1\na: 2\n"),
        document("a: !mine 1\n"),
        document("a: !!binary aGk=\n"),
        document("1.5: a\n"),
        document("a: .inf\n"),
    ] {
        assert!(files.dockfleet(&text).is_err(), "{text}");
    }
    Ok(())
}
