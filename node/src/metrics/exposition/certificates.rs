//! Until when the certificates in use are valid. A simulated node, and one whose API has none, has fewer.

use std::fmt::Result;

use super::sheet::Sheet;
use crate::tls::Expiries;

/// `of_peers` has also whether the certificate of the peer link is revoked.
pub(super) fn write(sheet: &mut Sheet<'_>, of_peers: Option<(Expiries, bool)>, of_api: Option<Expiries>) -> Result {
    let ends = of_peers.iter().flat_map(|(of_peers, _)| {
        [
            ("peer", Some(of_peers.certificate_ms)),
            ("peer_authority", of_peers.authority_ms),
            ("peer_revocation_list", of_peers.list_ms),
        ]
    });
    let ends = ends.chain(of_api.map(|of_api| ("api", Some(of_api.certificate_ms))));
    let known = ends.filter_map(|(name, ms)| Some(([("certificate", name)], (ms? / 1_000) as f64)));
    let help = "When a certificate in use, the last authority or the first revocation list ends, in Unix time";
    sheet.gauges("certificate_expiry_timestamp_seconds", help, known)?;
    let Some((of_peers, is_revoked)) = of_peers else { return Ok(()) };
    let help = "1 where this node's own certificate is on a revocation list: the others refuse it; else 0";
    sheet.flag("certificate_revoked", help, is_revoked)?;
    sheet.gauge("revoked_certificates", "Certificates on the revocation lists in use", of_peers.revoked as f64)
}
