//! Many charges fast, in batches: for a history that has to be long.

use serde_json::json;

use crate::api::caller::{self, Seller};
use crate::api::http::Request;
use crate::cluster::Cluster;

/// Charges one unit each in that many batches, over all nodes that run, under keys of a usual length.
#[track_caller]
pub fn charge_in_batches(cluster: &Cluster, seller: &Seller, batches: usize, charges: usize) {
    let running = cluster.running();
    for batch in 0..batches {
        let items: Vec<_> = (0..charges)
            .map(|count| {
                let (phone, key) =
                    (caller::phone(count as u64), caller::unique("batch-charge-with-a-key-of-usual-length"));
                json!({"phone": phone, "amount": 1, "idempotency_key": key})
            })
            .collect();
        let request = Request::post("/v1/charges/batch").json(&json!({ "charges": items }));
        let answer = cluster.seller(running[batch % running.len()], seller).settle(&request).expect(200).json();
        let accepted = answer["results"]
            .as_array()
            .map_or(0, |results| results.iter().filter(|result| result["status"] == 201).count());
        assert_eq!(accepted, charges, "every charge of a batch is accepted");
    }
}
