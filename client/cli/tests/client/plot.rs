//! `etebar plot`: what it draws and prints from records and marks.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A folder for one test.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, lines: &[Value]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, lines.iter().fold(String::new(), |text, line| text + &line.to_string() + "\n")).unwrap();
        path
    }

    fn plot(&self, record: &Path, marks: &Path) -> (Output, PathBuf) {
        let drawing = self.0.path().join("out.svg");
        let mut command = Command::new(env!("CARGO_BIN_EXE_etebar"));
        command.args(["plot", "--json", "--title", "A & B", "--record"]).arg(record);
        command.arg("--marks").arg(marks).arg("--output").arg(&drawing);
        (command.output().unwrap(), drawing)
    }
}

fn answer(number: u64, ended_ms: u64, replayed: bool) -> Value {
    json!({
        "key": format!("k{number}"), "seller": uuid::Uuid::from_u128(1), "phone": "+989123456789", "amount": "5",
        "status": 201, "charge": uuid::Uuid::from_u128(u128::from(number)), "entry": number, "replayed": replayed,
        "attempts": 1, "started_ms": ended_ms - 3, "ended_ms": ended_ms,
    })
}

#[test]
fn a_drawing_has_the_marks_and_the_report_says_how_long_nothing_was_charged() {
    let files = Files::new();
    let times = [1_000, 1_010, 1_020, 1_800, 1_900, 3_000];
    let mut lines: Vec<Value> = times.iter().zip(1..).map(|(at, number)| answer(number, *at, false)).collect();
    lines.push(answer(1, 1_500, true));
    let record = files.write("record", &lines);
    let marks = files.write("marks", &[json!({"at_ms": 1_015, "until_ms": 1_700, "what": "node 2 <killed>"})]);
    let (output, drawing) = files.plot(&record, &marks);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["charges"], &report["seconds"]), (&json!(6), &json!(2.0)), "a replay is no charge");
    let expected = json!([{"what": "node 2 <killed>", "at_seconds": 0.015, "stopped_ms": 1_100}]);
    assert_eq!(report["marks"], expected);
    let svg = std::fs::read_to_string(drawing).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    assert!(svg.contains("A &amp; B") && svg.contains("node 2 &lt;killed&gt;"), "names are escaped");
}

#[test]
fn what_cannot_be_drawn_is_refused_and_says_where() {
    let files = Files::new();
    let record = files.write("record", &[answer(1, 1_000, false)]);
    let none = files.write("none", &[]);
    let wrong = files.write("wrong", &[json!({"at_ms": 1_000, "what": "a"}), json!({"at_ms": "soon"})]);
    let (output, _) = files.plot(&record, &wrong);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 2"));
    assert_eq!(files.plot(&none, &none).0.status.code(), Some(2), "records without a charge");
    assert_eq!(files.plot(&record, &none).0.status.code(), Some(0), "one charge, no mark");
}
