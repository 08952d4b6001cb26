//! Plants what the check must find in small trees of files.

use std::fs;

use architecture::check::{Findings, check};
use architecture::rules::{Libraries, Rules};
use architecture::source::load::load;
use architecture::source::tree::Tree;

const RULES: Rules = Rules {
    orders: &[&["shop/src/door", "shop/src/store", "books/src"]],
    libraries: &[Libraries {
        names: &["sled"],
        scope: "shop/src",
        except: &["shop/src/store"],
        why: "only store/ names sled",
    }],
    no_std: &["books/src/lib.rs"],
    children_max: 3,
    files_in_circles_max: 0,
};

/// A sound tree: `door` names `store` through a re-export, `store` names the crate `books`, children name their parents.
const SOUND: &[(&str, &str)] = &[
    ("Cargo.toml", "[workspace]\nmembers = ['shop', 'books']"),
    ("shop/Cargo.toml", "[package]\nname = 'the-shop'"),
    ("shop/src/lib.rs", "pub mod door;\npub mod store;\n"),
    ("shop/src/main.rs", "fn main() { the_shop::door::open(); }\n"),
    ("shop/src/door/mod.rs", "use crate::store::Shelf;\npub fn open() { let _ = Shelf; }\n"),
    ("shop/src/store/mod.rs", "mod shelf;\npub use shelf::Shelf;\npub struct Box;\n"),
    (
        "shop/src/store/shelf.rs",
        "use super::Box;\nuse books::Page;\npub struct Shelf;\nfn f(_: Box, _: Page) { sled::open(); }\n",
    ),
    ("books/Cargo.toml", "[package]\nname = 'books'"),
    ("books/src/lib.rs", "#![no_std]\nmod page;\npub use page::*;\n"),
    ("books/src/page.rs", "pub struct Page;\n"),
];

/// The findings in the sound tree after `changes`: files with what they now hold.
fn findings(changes: &[(&str, &str)]) -> (Tree, Findings) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in SOUND.iter().chain(changes) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let tree = load(folder.path()).unwrap();
    let findings = check(&tree, &RULES);
    (tree, findings)
}

/// The arrows, as `from -> to`.
fn arrows(tree: &Tree, findings: &Findings) -> Vec<String> {
    let name = |file| tree.path_of(file).replace("/src/", "/");
    let mut arrows: Vec<_> =
        findings.arrows.keys().map(|(from, to)| format!("{} -> {}", name(*from), name(*to))).collect();
    arrows.sort();
    arrows
}

/// The circles, each as its files in order.
fn circles(changes: &[(&str, &str)]) -> Vec<Vec<String>> {
    let (tree, findings) = findings(changes);
    let files = |circle: &architecture::circles::Circle| {
        let mut files: Vec<_> = circle.files.iter().map(|file| tree.path_of(*file).to_owned()).collect();
        files.sort();
        files
    };
    findings.circles.iter().map(files).collect()
}

const DOOR_AND_STORE: [&str; 2] = ["shop/src/door/mod.rs", "shop/src/store/mod.rs"];
const DOOR_AND_SHELF: [&str; 2] = ["shop/src/door/mod.rs", "shop/src/store/shelf.rs"];

#[test]
fn a_sound_tree_has_arrows_to_where_things_are_defined_and_nothing_else() {
    let (tree, findings) = findings(&[]);
    assert_eq!(
        arrows(&tree, &findings),
        [
            "shop/door/mod.rs -> shop/store/shelf.rs",
            "shop/main.rs -> shop/door/mod.rs",
            "shop/store/shelf.rs -> books/page.rs",
            "shop/store/shelf.rs -> shop/store/mod.rs",
        ]
    );
    assert!(findings.circles.is_empty());
    assert_eq!(findings.breaches, [""; 0]);
    assert!(findings.crowded.is_empty());
}

#[test]
fn a_circle_is_found_however_its_files_name_each_other() {
    let circle_by = |code: &str| circles(&[("shop/src/store/shelf.rs", &format!("pub struct Shelf;\n{code}\n"))]);
    for code in [
        "use crate::door::open;",
        "use crate::door::{open as walk_in};",
        "use crate::{door::{self}};\nfn f() { door::open(); }",
        "fn f() { crate::door::open(); }",
        "fn f() { super::super::door::open(); }",
        "fn f() { use crate::door; door::open() }",
        "fn f() { println!(\"{:?}\", Some(crate::door::open())); }",
        "macro_rules! m { () => { $crate::door::open() } }",
        "#[serde(with = \"crate::door::open\")]\nstruct S;",
        "fn f() -> Option<[crate::door::Handle; 2]> { None }",
        "use crate::door::*;\nfn f() { open() }",
        "impl Shelf { const N: usize = <crate::door::Handle as Iterator>::N; }",
    ] {
        assert_eq!(circle_by(code), [DOOR_AND_SHELF], "{code}");
    }
}

#[test]
fn a_parent_and_a_child_that_name_each_other_are_a_circle() {
    let store = |code: &str| circles(&[("shop/src/store/mod.rs", &format!("mod shelf;\npub struct Box;\n{code}\n"))]);
    let circle = ["shop/src/store/mod.rs", "shop/src/store/shelf.rs"];
    for code in ["use shelf::Shelf;", "pub use shelf::Shelf;\nfn f() -> Shelf { Shelf }"] {
        assert_eq!(store(code), [circle], "{code}");
    }
    assert_eq!(store("pub(crate) use shelf::Shelf;"), [[""; 0]; 0]);
}

#[test]
fn a_re_export_from_elsewhere_is_an_arrow() {
    let store = "mod shelf;\npub use shelf::Shelf;\npub use crate::door::open;\npub struct Box;\n";
    let door = "use crate::store::Box;\npub fn open() -> Box { Box }\n";
    assert_eq!(circles(&[("shop/src/store/mod.rs", store), ("shop/src/door/mod.rs", door)]), [DOOR_AND_STORE]);
}

#[test]
fn a_longer_circle_is_reported_with_a_shortest_way_around() {
    let (tree, findings) = findings(&[
        ("shop/src/lib.rs", "pub mod door; pub mod store; mod a; mod b; mod c;"),
        ("shop/src/a.rs", "pub struct A; fn f() { crate::b::B; }"),
        ("shop/src/b.rs", "pub struct B; fn f() { crate::c::C; crate::a::A; }"),
        ("shop/src/c.rs", "pub struct C; fn f() { crate::a::A; }"),
    ]);
    let [circle] = &findings.circles[..] else { panic!("one circle") };
    assert_eq!((circle.files.len(), circle.shortest.len()), (3, 2));
    let names: Vec<_> = circle.shortest.iter().map(|file| tree.path_of(*file)).collect();
    assert_eq!(names, ["shop/src/a.rs", "shop/src/b.rs"]);
}

#[test]
fn tests_draw_no_arrow() {
    let code = "pub struct Shelf;\n#[cfg(test)]\nmod tests { use crate::door::open; #[test] fn f() { open() } }\n\
                #[cfg(test)]\nmod more;\n#[cfg(all(test, unix))] fn g() { crate::door::open() }";
    let more = "use crate::door::open;";
    assert!(circles(&[("shop/src/store/shelf.rs", code), ("shop/src/store/shelf/more.rs", more)]).is_empty());
}

#[test]
fn what_points_up_is_a_breach_in_tests_too() {
    let up = "mod shelf;\npub use shelf::Shelf;\npub struct Box;\n#[cfg(test)]\nmod tests { use crate::door::open; }\n";
    let (_, found) = findings(&[("shop/src/store/mod.rs", up)]);
    let [breach] = &found.breaches[..] else { panic!("{:?}", found.breaches) };
    assert!(
        breach.starts_with("shop/src/store/mod.rs -> shop/src/door/mod.rs\n    line 5: use crate::door::open"),
        "{breach}"
    );

    let (_, found) = findings(&[("books/src/page.rs", "pub struct Page;\nfn f() { the_shop::store::Box; }\n")]);
    assert_eq!(found.breaches.len(), 1, "across crates: {:?}", found.breaches);
}

#[test]
fn a_library_out_of_its_scope_is_a_breach() {
    for code in ["use sled::Db;", "fn f() { sled::open(); }", "fn f() { dbg!(sled::open()); }", "extern crate sled;"] {
        let (_, found) = findings(&[("shop/src/door/mod.rs", &format!("pub fn open() {{}}\n{code}\n"))]);
        assert_eq!(found.breaches.len(), 1, "{code}: {:?}", found.breaches);
        assert!(found.breaches[0].starts_with("shop/src/door/mod.rs:2: "), "{}", found.breaches[0]);
    }
    for code in
        ["// sled::open()", "fn f(sled: u8) -> u8 { sled }", "mod sled { pub fn open() {} } fn f() { sled::open() }"]
    {
        let (_, found) = findings(&[("shop/src/door/mod.rs", &format!("pub fn open() {{}}\n{code}\n"))]);
        assert_eq!(found.breaches, [""; 0], "{code}");
    }
}

#[test]
fn a_table_that_names_what_is_not_there_is_a_breach() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Cargo.toml"), "[workspace]").unwrap();
    let found = check(&load(folder.path()).unwrap(), &RULES);
    assert!(found.breaches.contains(&"there is no shop/src/store to check".to_owned()), "{:?}", found.breaches);
    assert!(
        found.breaches.contains(&"books/src/lib.rs: it does not say #![no_std]".to_owned()),
        "{:?}",
        found.breaches
    );
}

#[test]
fn a_folder_with_too_many_children_is_reported() {
    let (_, found) = findings(&[
        ("shop/src/lib.rs", "pub mod door; pub mod store; mod a; mod b;"),
        ("shop/src/a.rs", "mod inner;"),
        ("shop/src/a/inner.rs", ""),
        ("shop/src/b/mod.rs", ""),
    ]);
    assert_eq!(found.crowded, [("shop/src".to_owned(), 4)]);
}
