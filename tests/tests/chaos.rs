//! chaos.sh breaks a cluster on purpose and finds every promise kept; a run that broke little proves nothing and says so.

use tests::place::Folder;
use tests::scripts::{run, script};

#[test]
fn a_short_chaos_ends_with_a_report_and_its_verdict() {
    let folder = Folder::new("chaos");
    let drawing = folder.path().join("chaos.svg");
    let mut chaos = script("chaos.sh");
    chaos.args(["--seconds", "25", "--seed", "4", "--svg"]).arg(&drawing).env("TMPDIR", folder.path());
    let ended = run(&mut chaos);
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.out, ended.err);
    for sentence in ["every promise kept", "charges stopped for", "every promise held; seed 4"] {
        assert!(ended.out.contains(sentence), "{sentence:?} is missing in:\n{}", ended.out);
    }
    assert!(std::fs::read_to_string(drawing).expect("the drawing is there").contains("under chaos, seed 4"));
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("its folder").flatten().map(|it| it.file_name()).collect();
    assert_eq!(left, ["chaos.svg"], "nothing else is left");
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("what is mounted");
    assert!(!mounts.contains("etebar-chaos"), "no disk is left mounted: {mounts}");
}
