//! A proxy between the program and a real node forwards each request and then answers falsely: nothing that was sold is
//! ever reported as not done, and its key shows its outcome later.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tests::api::caller::phone;
use tests::faults::lying_proxy::{About, LIES, Proxy};
use tests::operator::scripts::{etebar, run};
use tests::{Cluster, Plan, Seller, books};

/// Lines of each imported file.
const LINES: u64 = 3;

/// The program behind the proxy, as that seller.
fn behind(proxy: &Proxy, cluster: &Cluster, seller: &Seller) -> Command {
    let mut command = etebar(cluster);
    command.env("ETEBAR_SERVER", proxy.url()).env("ETEBAR_KEY", &seller.key).args(["--json", "--timeout", "300ms"]);
    command
}

#[test]
fn what_a_proxy_lied_about_is_unknown_until_its_key_tells() {
    let cluster = Plan::new("lying-proxy").nodes(1).start();
    let seller = cluster.seller_with(1_000_000);
    let proxy = Proxy::before(cluster.address(1));
    for (index, lie) in LIES.iter().enumerate() {
        proxy.falsify(lie, About::Writes);
        let key = format!("order-{index}");
        let charge = || {
            let mut command = behind(&proxy, &cluster, &seller);
            run(command.args(["charge", &phone(index as u64), "7", "--idempotency-key", &key]))
        };
        let before = proxy.falsified();
        let lied = charge();
        let stated: Value = serde_json::from_str(&lied.err).unwrap_or_else(|_| panic!("{}: {}", lie.name, lied.err));
        assert_eq!(lied.code, Some(3), "{}: {stated}", lie.name);
        assert_eq!((&stated["code"], &stated["idempotency_key"]), (&"outcome_unknown".into(), &key.as_str().into()));
        assert_eq!(lied.out, "", "{}", lie.name);
        assert!(proxy.falsified() > before + 1, "{}: it is repeated", lie.name);
        proxy.be_honest();
        let charged = charge();
        assert_eq!(charged.code, Some(0), "{}: {}", lie.name, charged.err);
    }
    let left = 1_000_000 - 7 * i64::try_from(LIES.len()).expect("a few");
    assert_eq!(cluster.admin(1).balance(&seller.id), left, "each was sold once");
    assert_eq!(books::check(&cluster).iter().filter(|entry| entry.kind == "charge").count(), LIES.len());
}

#[test]
fn an_import_never_calls_a_line_not_sent_that_a_proxy_lied_about() {
    let cluster = Plan::new("lying-proxy-import").nodes(1).start();
    let seller = cluster.seller_with(1_000_000);
    let proxy = Proxy::before(cluster.address(1));
    for (index, lie) in LIES.iter().enumerate() {
        let file = cluster.folder().join(format!("orders-{index}.csv"));
        let lines = (0..LINES).map(|line| format!("{},1\n", phone(LINES * index as u64 + line)));
        fs::write(&file, format!("phone,amount\n{}", lines.collect::<String>())).expect("the input can be written");
        let import = || {
            let ended = run(behind(&proxy, &cluster, &seller).args(["charges", "import"]).arg(&file));
            let summary: Value =
                serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{}: {}", lie.name, ended.err));
            (ended.code, ["charged", "refused", "unknown", "not_sent"].map(|name| summary[name].as_u64()))
        };
        proxy.falsify(lie, About::Writes);
        assert_eq!(import(), (Some(3), [0, 0, LINES, 0].map(Some)), "{}", lie.name);
        proxy.be_honest();
        assert_eq!(import(), (Some(0), [LINES, 0, 0, 0].map(Some)), "{}", lie.name);
    }
    let sold = (LINES * LIES.len() as u64).cast_signed();
    assert_eq!(cluster.admin(1).balance(&seller.id), 1_000_000 - sold, "each line was sold once");
    books::check(&cluster);
}
