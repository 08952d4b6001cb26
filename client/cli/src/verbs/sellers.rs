//! `etebar sellers`.

use etebar::api::{MAX_PAGE, NewSeller, Seller};

use crate::arguments::Sellers;
use crate::lists::{self, Listed};
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::words::{replay_note, seller_status};
use crate::output::{money, sheet};
use crate::session::Session;

pub(crate) async fn run(session: &Session, verb: Sellers) -> Result<(), CliError> {
    let client = &session.client;
    let (answer, done) = match verb {
        Sellers::Create { name, once } => {
            let key = once.key()?;
            let new = NewSeller { name: name.into() };
            let answer = session.write(Some(&key), client.create_seller(&new, &key)).await?;
            (answer, Done::new("the seller exists").under(&key))
        }
        Sellers::Show(seller) => {
            let seller = client.seller(seller.id.0).await?.value;
            return session.output.either(&seller, || shown(&seller));
        }
        Sellers::Suspend { id } => {
            (session.write(None, client.suspend_seller(id)).await?, Done::new("the seller is suspended"))
        }
        Sellers::Activate { id } => {
            (session.write(None, client.activate_seller(id)).await?, Done::new("the seller is active"))
        }
        Sellers::List(listing) => return lists::print(session, client.sellers_list(MAX_PAGE), &listing).await,
    };
    let seller = &answer.value;
    let text = || format!("{}{}", shown(seller), replay_note(answer.replayed));
    session.report(seller, text, || done.id(seller.id))
}

impl Listed for Seller {
    const HEAD: &'static [&'static str] = &["id", "name", "status", ">balance", "created at"];
    const COLUMNS: &'static [&'static str] = &["id", "name", "status", "balance", "created_at"];

    fn row(&self) -> Vec<Cell> {
        vec![
            self.id.to_string().into(),
            self.name.clone().into(),
            seller_status(self.status),
            money(self.balance),
            self.created_at.to_string().into(),
        ]
    }
}

fn shown(seller: &Seller) -> String {
    sheet(&[
        ("id", seller.id.to_string().into()),
        ("name", seller.name.clone().into()),
        ("status", seller_status(seller.status)),
        ("balance", money(seller.balance)),
        ("created at", seller.created_at.to_string().into()),
    ])
}
