//! `etebar sellers`.

use crate::api::{MAX_PAGE, NewSeller, Seller, SellerStatus};

use super::super::arguments::Sellers;
use super::super::lists::{self, Listed};
use super::super::output::{money, sheet};
use super::super::paint::Cell;
use super::super::stop::Stop;
use super::{Session, replay_note};

pub(super) async fn run(session: &Session, verb: Sellers) -> Result<(), Stop> {
    let client = &session.client;
    let answer = match verb {
        Sellers::Create { name, once } => client.create_seller(&NewSeller { name: name.into() }, &once.key()?).await?,
        Sellers::Show(seller) => client.seller(seller.id.0).await?,
        Sellers::Suspend { id } => client.suspend_seller(id).await?,
        Sellers::Activate { id } => client.activate_seller(id).await?,
        Sellers::List(listing) => return lists::print(session, client.sellers_list(MAX_PAGE), &listing).await,
    };
    session.output.either(&answer.value, || format!("{}{}", shown(&answer.value), replay_note(answer.replayed)))
}

impl Listed for Seller {
    const HEAD: &'static [&'static str] = &["id", "name", "status", ">balance", "created at"];
    const COLUMNS: &'static [&'static str] = &["id", "name", "status", "balance", "created_at"];

    fn row(&self) -> Vec<Cell> {
        vec![
            self.id.to_string().into(),
            self.name.clone().into(),
            status(self.status),
            money(self.balance),
            self.created_at.to_string().into(),
        ]
    }
}

fn shown(seller: &Seller) -> String {
    sheet(&[
        ("id", seller.id.to_string().into()),
        ("name", seller.name.clone().into()),
        ("status", status(seller.status)),
        ("balance", money(seller.balance)),
        ("created at", seller.created_at.to_string().into()),
    ])
}

pub(in crate::program) fn status(status: SellerStatus) -> Cell {
    match status {
        SellerStatus::Active => Cell::good("active"),
        SellerStatus::Suspended => Cell::bad("suspended"),
    }
}
