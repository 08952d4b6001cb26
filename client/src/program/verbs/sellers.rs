//! `etebar sellers`.

use crate::api::{NewSeller, Seller, SellerStatus};

use super::super::arguments::Sellers;
use super::super::output::{grouped, sheet};
use super::super::stop::Stop;
use super::{Session, print_list, replay_note};

pub(super) async fn run(session: &Session, verb: Sellers) -> Result<(), Stop> {
    let client = &session.client;
    let answer = match verb {
        Sellers::Create { name, once } => client.create_seller(&NewSeller { name: name.into() }, &once.key()?).await?,
        Sellers::Show(seller) => client.seller(seller.id.0).await?,
        Sellers::Suspend { id } => client.suspend_seller(id).await?,
        Sellers::Activate { id } => client.activate_seller(id).await?,
        Sellers::List(listing) => {
            let head = ["id", "name", "status", ">balance", "created at"];
            return print_list(session, client.sellers_list(listing.page()), &listing, &head, row).await;
        }
    };
    session.output.either(&answer.value, || format!("{}{}", shown(&answer.value), replay_note(answer.replayed)))
}

fn row(seller: &Seller) -> Vec<String> {
    vec![
        seller.id.to_string(),
        seller.name.clone(),
        status(seller.status).to_owned(),
        grouped(seller.balance),
        seller.created_at.to_string(),
    ]
}

fn shown(seller: &Seller) -> String {
    sheet(&[
        ("id", seller.id.to_string()),
        ("name", seller.name.clone()),
        ("status", status(seller.status).to_owned()),
        ("balance", grouped(seller.balance)),
        ("created at", seller.created_at.to_string()),
    ])
}

fn status(status: SellerStatus) -> &'static str {
    match status {
        SellerStatus::Active => "active",
        SellerStatus::Suspended => "suspended",
    }
}
