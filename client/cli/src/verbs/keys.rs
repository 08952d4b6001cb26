//! `etebar keys`.

use etebar::api::{Key, MAX_PAGE, NewKey, Role};

use crate::arguments::Keys;
use crate::lists::{self, Listed};
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::words::replay_note;
use crate::output::{or_dash, sheet};
use crate::session::Session;

pub(crate) async fn run(session: &Session, verb: Keys) -> Result<(), CliError> {
    let client = &session.client;
    match verb {
        Keys::Create { role, name, seller, once } => {
            let new = NewKey { role: role.into(), name: name.into(), seller_id: seller };
            let key = once.key()?;
            let answer = session.write(Some(&key), client.create_key(&new, &key)).await?;
            let made = &answer.value;
            let text = || {
                let lost = if made.key.is_none() {
                    "\nits secret was in the first answer alone: without it, revoke the key and make another"
                } else {
                    ""
                };
                format!("{}{}{lost}", shown(made), replay_note(answer.replayed))
            };
            session.report(made, text, || {
                let hint = format!(
                    "its secret is lost, and cannot be shown again: `etebar keys revoke {}`, then make another",
                    made.id
                );
                Done::new("the API key exists").id(made.id).under(&key).hint(hint)
            })
        }
        Keys::List(listing) => lists::print(session, client.keys_list(MAX_PAGE), &listing).await,
        Keys::Revoke { id } => {
            session.write(None, client.revoke_key(id)).await?;
            session.reported(session.output.end("revoked"), || Done::new("the API key is revoked").id(id))
        }
    }
}

/// Without the secret, which no list has.
impl Listed for Key {
    const HEAD: &'static [&'static str] = &["id", "role", "name", "seller", "created at"];
    const COLUMNS: &'static [&'static str] = &["id", "role", "name", "seller_id", "created_at"];

    fn row(&self) -> Vec<Cell> {
        vec![
            self.id.to_string().into(),
            role(self.role).into(),
            self.name.clone().into(),
            or_dash(self.seller_id).into(),
            self.created_at.to_string().into(),
        ]
    }
}

fn shown(key: &Key) -> String {
    sheet(&[
        ("id", key.id.to_string()),
        ("role", role(key.role).to_owned()),
        ("name", key.name.clone()),
        ("seller", or_dash(key.seller_id)),
        ("key", or_dash(key.key.as_ref())),
        ("created at", key.created_at.to_string()),
    ])
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Seller => "seller",
        Role::Auditor => "auditor",
    }
}
