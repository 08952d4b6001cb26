//! libFuzzer before the doors of a node: `fuzz DOOR [libFuzzer's options] [folders of seeds]`. What a door promises stands
//! in `doors`, which are a module of the node.
#![no_main]

use std::sync::OnceLock;

use etebar_node::fuzzing::{DOORS, Door};
use libfuzzer_sys::fuzz_target;

/// The door that the environment names: libFuzzer keeps the command line to itself.
fn door() -> &'static Door {
    static DOOR: OnceLock<&Door> = OnceLock::new();
    DOOR.get_or_init(|| {
        let door = std::env::var("FUZZ_DOOR").unwrap_or_default();
        DOORS.iter().find(|(name, _)| *name == door).unwrap_or_else(|| {
            let names: Vec<&str> = DOORS.iter().map(|(name, _)| *name).collect();
            panic!("FUZZ_DOOR is one of {names:?}, not {door:?}")
        })
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (_, open) = door();
    open(bytes);
});
