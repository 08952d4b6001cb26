//! The cases that Etebar was made for: credit is given once, sold exactly, and never below zero.

use std::thread;

use serde_json::json;
use tests::api::caller::{self, Seller, number, phone, unique};
use tests::{Cluster, Plan, Request, books};

fn cluster() -> &'static Cluster {
    Plan::new("brief").shared()
}

/// Charges that many times, spread over workers and nodes; how many were accepted.
fn charge_in_parallel(seller: &Seller, workers: u64, each: u64, amount: i64) -> usize {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let charges = (0..each).map(|count| {
                        let caller = cluster().seller(1 + (worker + count) % 3, seller);
                        let request = caller::charge(&unique("sale"), &phone(worker * 1_000 + count), amount);
                        caller.settle(&request).status
                    });
                    charges.filter(|status| *status == 201).count()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no worker panics")).sum()
    })
}

#[test]
fn a_credit_request_applies_once_however_often_it_is_approved_by_any_node_in_parallel() {
    let seller = cluster().seller_with(0);
    let request = cluster().seller(2, &seller).request_credit(1_000_000);
    let answers: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..30)
            .map(|count| {
                let request = &request;
                scope.spawn(move || cluster().admin(1 + count % 3).approve(request).expect(200))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().expect("no worker panics")).collect()
    });
    assert_eq!(answers.iter().filter(|answer| !answer.replayed()).count(), 1, "one approval is the first");
    assert!(answers.iter().all(|answer| answer.body == answers[0].body), "all get the first answer");
    assert_eq!(answers[0].json()["status"], "approved");
    for id in 1..=3 {
        assert_eq!(cluster().admin(id).balance(&seller.id), 1_000_000);
        assert_eq!(books::totals(&cluster().admin(id), &seller.id), [1_000_000, 0, 0, 0, 1_000_000]);
    }
}

#[test]
fn a_credit_request_that_is_sent_again_is_one_request() {
    let seller = cluster().seller_with(0);
    let request =
        Request::post("/v1/credit-requests").key("request").json(&json!({"amount": "500", "note": "week 12"}));
    let first = cluster().seller(1, &seller).settle(&request).expect(201);
    for id in 1..=3 {
        let again = cluster().seller(id, &seller).settle(&request).expect(201);
        assert!(again.replayed());
        assert_eq!(again.body, first.body);
    }
    assert_eq!(cluster().seller(1, &seller).list("/v1/credit-requests").len(), 1);
}

#[test]
fn a_verdict_is_final() {
    let seller = cluster().seller_with(0);
    let caller = cluster().seller(1, &seller);
    let (approved, rejected) = (caller.request_credit(100), caller.request_credit(200));
    let admin = cluster().admin(2);
    admin.approve(&approved).expect(200);
    let first = admin.post(&format!("/v1/credit-requests/{rejected}/reject"), &json!({"reason": "no"})).expect(200);
    assert_eq!((&first.json()["status"], &first.json()["reason"]), (&json!("rejected"), &json!("no")));
    let opposite = cluster().admin(3).post(&format!("/v1/credit-requests/{approved}/reject"), &json!({}));
    assert_eq!(opposite.refusal(), (409, "credit_request_decided".into()));
    assert_eq!(cluster().admin(3).approve(&rejected).refusal(), (409, "credit_request_decided".into()));
    assert_eq!(admin.balance(&seller.id), 100);
}

#[test]
fn a_million_less_sixty_charges_of_five_thousand_leaves_seven_hundred_thousand() {
    let seller = cluster().seller_with(1_000_000);
    for count in 0..60 {
        let charge = cluster().seller(1 + count % 3, &seller).charge(&unique("sale"), "09123456789", 5_000).expect(201);
        assert_eq!(number(&charge.json()["balance"]), 1_000_000 - 5_000 * (count.cast_signed() + 1));
        assert_eq!(charge.json()["phone"], "+989123456789");
    }
    assert_eq!(books::totals(&cluster().admin(1), &seller.id), [1_000_000, 0, -300_000, 0, 700_000]);
}

#[test]
fn the_sale_log_has_every_accepted_charge_once_and_no_refused_one() {
    let seller = cluster().seller_with(1_000);
    let caller = cluster().seller(1, &seller);
    let mut accepted = Vec::new();
    for count in 0..20 {
        let answer = caller.charge(&unique("sale"), &phone(count), 1 + 97 * count.cast_signed());
        match answer.status {
            201 => accepted.push(answer.json()["id"].clone()),
            _ => assert_eq!(answer.refusal(), (409, "insufficient_credit".into())),
        }
    }
    assert!((1..20).contains(&accepted.len()), "some are accepted and some refused");
    let listed: Vec<_> = caller.list("/v1/charges").into_iter().map(|charge| charge["id"].clone()).collect();
    assert_eq!(listed, accepted);
    let entries = caller.list(&format!("/v1/sellers/{}/entries", seller.id));
    let charged: Vec<_> =
        entries.iter().filter(|entry| entry["kind"] == "charge").map(|entry| entry["reference"].clone()).collect();
    assert_eq!(charged, accepted);
}

#[test]
fn no_charge_takes_credit_below_zero_however_many_are_sent_at_once() {
    let seller = cluster().seller_with(1_000);
    assert_eq!(charge_in_parallel(&seller, 12, 4, 300), 3);
    assert_eq!(books::totals(&cluster().admin(2), &seller.id), [1_000, 0, -900, 0, 100]);
}

#[test]
fn no_decrease_takes_credit_below_zero_while_charges_compete_for_it() {
    let seller = cluster().seller_with(1_000);
    let path = format!("/v1/sellers/{}/adjustments", seller.id);
    let body = json!({"amount": "-400", "reason": "correction"});
    let (charged, decreased) = thread::scope(|scope| {
        let charges = scope.spawn(|| charge_in_parallel(&seller, 4, 5, 300));
        let decreases: Vec<_> = (0..6)
            .map(|count| {
                let (path, body) = (&path, &body);
                scope.spawn(move || {
                    cluster().admin(1 + count % 3).settle(&Request::post(path).key(&unique("less")).json(body))
                })
            })
            .collect();
        let answers: Vec<_> = decreases.into_iter().map(|worker| worker.join().expect("no worker panics")).collect();
        let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 201).collect();
        for answer in &refused {
            assert_eq!(answer.refusal(), (409, "insufficient_credit".into()));
        }
        (charges.join().expect("no worker panics"), answers.len() - refused.len())
    });
    let left = 1_000 - i64::try_from(300 * charged + 400 * decreased).expect("a few");
    assert!((0..300).contains(&left), "all that fits is taken and no more: {charged} charges, {decreased} decreases");
    assert_eq!(cluster().admin(1).balance(&seller.id), left);
}

#[test]
fn a_refusal_states_the_balance_and_moves_nothing() {
    let seller = cluster().seller_with(70);
    let refused = cluster().seller(3, &seller).charge(&unique("sale"), &phone(1), 71);
    assert_eq!(refused.refusal(), (409, "insufficient_credit".into()));
    assert_eq!(refused.json()["balance"], "70");
    assert_eq!(cluster().admin(1).balance(&seller.id), 70);
}

#[test]
fn two_sellers_with_ten_credits_and_a_thousand_charges_end_exactly() {
    let sellers = [cluster().seller_with(0), cluster().seller_with(0)];
    thread::scope(|scope| {
        for seller in &sellers {
            scope.spawn(move || {
                for count in 0..5 {
                    let request = cluster().seller(1 + count % 3, seller).request_credit(100_000);
                    cluster().admin(1 + (count + 1) % 3).approve(&request).expect(200);
                }
                assert_eq!(charge_in_parallel(seller, 5, 100, 700), 500);
            });
        }
    });
    for seller in &sellers {
        for id in 1..=3 {
            let totals = books::totals(&cluster().admin(id), &seller.id);
            assert_eq!(totals, [500_000, 0, -350_000, 0, 150_000]);
        }
        assert_eq!(cluster().seller(1, seller).list("/v1/charges").len(), 500);
    }
}

#[test]
fn a_reversal_gives_back_one_charge_once() {
    let seller = cluster().seller_with(1_000);
    let caller = cluster().seller(1, &seller);
    let number_charged = phone(777_001);
    let charge = caller.charge(&unique("sale"), &number_charged, 600).expect(201).json();
    let path = format!("/v1/charges/{}/reversal", charge["id"].as_str().expect("an id"));
    let body = json!({"reason": "wrong number"});
    let entry = cluster().admin(2).post_keyed(&path, &unique("undo"), &body).expect(201).json();
    assert_eq!(
        (&entry["kind"], &entry["amount"], &entry["balance"]),
        (&json!("reversal"), &json!("600"), &json!("1000"))
    );
    assert_eq!(entry["reference"], charge["id"]);
    let second = cluster().admin(3).post_keyed(&path, &unique("undo"), &body);
    assert_eq!(second.refusal(), (409, "charge_reversed".into()));
    let read = caller.get(&format!("/v1/charges/{}", charge["id"].as_str().expect("an id"))).expect(200).json();
    assert_eq!(read["reversed_by"], entry["entry"]);
    assert_eq!(books::totals(&cluster().admin(1), &seller.id), [1_000, 0, -600, 600, 1_000]);
    let phone = cluster().admin(1).get(&format!("/v1/phones/{number_charged}")).expect(200).json();
    assert_eq!((&phone["balance"], &phone["phone"]), (&json!("0"), &json!(number_charged)));
}

#[test]
fn a_suspended_seller_sells_nothing_until_it_is_activated() {
    let seller = cluster().seller_with(1_000);
    let caller = cluster().seller(2, &seller);
    let pending = caller.request_credit(50);
    let admin = cluster().admin(1);
    let suspended = admin.post(&format!("/v1/sellers/{}/suspend", seller.id), &json!({})).expect(200).json();
    assert_eq!(suspended["status"], "suspended");
    assert_eq!(caller.charge(&unique("sale"), &phone(1), 1).refusal(), (409, "seller_suspended".into()));
    let request = caller.post_keyed("/v1/credit-requests", &unique("request"), &json!({"amount": "5"}));
    assert_eq!(request.refusal(), (409, "seller_suspended".into()));
    admin.approve(&pending).expect(200);
    assert_eq!(caller.balance("me"), 1_050, "approvals and reads continue");
    admin.post(&format!("/v1/sellers/{}/activate", seller.id), &json!({})).expect(200);
    caller.charge(&unique("sale"), &phone(1), 1).expect(201);
}
