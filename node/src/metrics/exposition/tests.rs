//! The whole text of one node: what a scraper needs of it, and the document about it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Exposition, Sources};

const DOCUMENT: &str = include_str!("../../../../docs/metrics.md");

/// What a node of one shows.
fn text() -> String {
    crate::fuzzing::at_the_node(async |server| {
        let app = server.app();
        let exposition = Exposition::new(Sources {
            cluster: app.cluster.clone(),
            http: Arc::clone(&app.instruments),
            connections: Arc::clone(&app.connections),
            connections_max: app.limits.connections,
            data_dir: PathBuf::from("."),
            disk_reserve_bytes: 1,
            api_credentials: None,
        });
        exposition.text().unwrap()
    })
}

/// The families with what follows their names in the lines that begin so.
fn described<'a>(text: &'a str, prefix: &str) -> Vec<(&'a str, &'a str)> {
    text.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once(' ')).collect()
}

#[test]
fn each_family_has_a_help_text_a_type_and_a_row_in_the_document() {
    let text = text();
    let helps = described(&text, "# HELP ");
    let names: BTreeSet<&str> = helps.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), helps.len(), "each once");
    assert!(helps.iter().all(|(_, help)| help.len() > 10 && help.ends_with('.')), "{helps:?}");
    let types: BTreeSet<&str> = described(&text, "# TYPE ").into_iter().map(|(name, _)| name).collect();
    assert_eq!(types, names);
    assert!(names.iter().all(|name| name.starts_with("etebar_") || name.starts_with("process_")), "{names:?}");
    let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name);
    let rows: BTreeSet<&str> =
        rows.filter(|name| name.starts_with("etebar_") || name.starts_with("process_")).collect();
    let missing: Vec<_> = names.difference(&rows).collect();
    assert!(missing.is_empty(), "docs/metrics.md lacks {missing:?}");
    let gone: Vec<_> = rows.difference(&names).collect();
    assert!(gone.is_empty(), "docs/metrics.md has {gone:?}, which no node shows");
}

#[test]
fn no_label_names_a_seller_or_a_phone() {
    let allowed = ["class", "code", "reason", "role", "peer", "member", "certificate", "le"];
    let of_build = ["version", "data_format", "peer_link"];
    for line in text().lines().filter(|line| !line.starts_with('#')) {
        let Some((_, labels)) = line.split_once('{') else { continue };
        let labels = labels.split_once('}').unwrap().0;
        for label in labels.split(',').filter_map(|pair| pair.split_once('=')).map(|(label, _)| label) {
            assert!(allowed.contains(&label) || of_build.contains(&label), "{line}");
        }
    }
}
