//! A leader without followers acknowledges nothing and serves no read that must be current; when they return, nothing is
//! lost and nothing is done twice.

use tests::api::caller::{self, phone, unique};
use tests::machine::turns::alone;
use tests::{Plan, Request};

#[test]
fn a_leader_whose_followers_are_gone_acknowledges_nothing() {
    let _alone = alone();
    let cluster = Plan::new("lonely").setting("ETEBAR_REQUEST_TIMEOUT", "2s").start();
    let seller = cluster.seller_with(1_000);
    for pause in [true, false] {
        let balance = cluster.admin(1).balance(&seller.id);
        let leader = cluster.leader();
        for follower in cluster.followers() {
            if pause { cluster.node(follower).pause() } else { cluster.node(follower).kill() }
        }
        let caller = cluster.seller(leader, &seller);
        let request = caller::charge(&unique("lonely"), &phone(1), 10);
        for _ in 0..3 {
            let answer = caller.send(&request);
            let refusal = answer.refusal();
            assert!(refusal == (504, "outcome_unknown".into()) || refusal == (503, "no_leader".into()), "{refusal:?}");
        }
        let read = caller.get("/v1/sellers/me");
        assert!(matches!(read.refusal(), (503, code) if code == "no_leader" || code == "behind"), "{}", read.text());
        let local = caller.send(&Request::get("/v1/sellers/me?consistency=local")).expect(200);
        assert_eq!(local.json()["balance"], balance.to_string(), "nothing moved here");
        assert_eq!(
            cluster.node(leader).quick("/livez").expect("an answer").status,
            200,
            "it stays live without the others"
        );
        tests::eventually("it to say that it is not ready", || {
            cluster.node(leader).quick("/readyz").is_some_and(|answer| answer.status == 503)
        });

        for follower in cluster.ids().into_iter().filter(|id| *id != leader) {
            if pause { cluster.node(follower).resume() } else { cluster.node(follower).start() }
        }
        cluster.wait_ready(&cluster.ids());
        caller.settle(&request).expect(201);
        assert!(cluster.seller(1, &seller).settle(&request).expect(201).replayed());
        assert_eq!(cluster.admin(2).balance(&seller.id), balance - 10, "once");
    }
    tests::books::check(&cluster);
}
