//! The names in certificates: `etebar://CLUSTER/node/N` for a node, `etebar://CLUSTER/client/NAME` for an operator.

use ledger::NodeNumber;
use uuid::Uuid;

const SCHEME: &str = "etebar://";

/// The name of node `node` of `cluster`.
pub fn node_uri(cluster: Uuid, node: NodeNumber) -> String {
    format!("{SCHEME}{cluster}/node/{node}")
}

/// The name of an operator.
pub fn client_uri(cluster: Uuid, name: &str) -> String {
    format!("{SCHEME}{cluster}/client/{name}")
}

/// Cluster and number in a node's name; `None` for every other text, another spelling of the same number included.
pub fn read_node_uri(uri: &str) -> Option<(Uuid, NodeNumber)> {
    let (cluster, number) = uri.strip_prefix(SCHEME)?.split_once("/node/")?;
    let (cluster, node) = (Uuid::parse_str(cluster).ok()?, number.parse().ok()?);
    (node_uri(cluster, node) == uri && node > 0).then_some((cluster, node))
}

/// Bytes as hexadecimal digits.
pub fn hex<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Whether an operator may have this name: 1 to 64 letters, digits, dashes, dots or underscores.
pub fn is_client_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_names_a_node() {
        let cluster = Uuid::from_u128(0x00E7_EBA2);
        let uri = node_uri(cluster, 12);
        assert_eq!(read_node_uri(&uri), Some((cluster, 12)));
        let others = [
            uri.to_uppercase(),
            uri.replace("/node/", "/client/"),
            format!("{uri}/"),
            format!("{uri}0000000000000000000000"),
            uri.replace("/12", "/012"),
            uri.replace("/12", "/+12"),
            uri.replace("/12", "/0"),
            uri.replace('-', ""),
            client_uri(cluster, "12"),
            String::new(),
        ];
        for other in others {
            assert_eq!(read_node_uri(&other), None, "{other}");
        }
    }

    #[test]
    fn an_operators_name_is_also_a_files_name() {
        assert!(is_client_name("sara-2"));
        for wrong in ["", "a b", "../x", "a/b", ".hidden", &"x".repeat(65), "ü"] {
            assert!(!is_client_name(wrong), "{wrong}");
        }
    }
}
