//! `etebar keys`.

use crate::api::{Key, NewKey, Role};

use super::super::arguments::Keys;
use super::super::output::{or_dash, sheet};
use super::super::stop::Stop;
use super::{Session, print_list, replay_note};

pub(super) async fn run(session: &Session, verb: Keys) -> Result<(), Stop> {
    let client = &session.client;
    match verb {
        Keys::Create { role, name, seller, once } => {
            let new = NewKey { role: role.into(), name: name.into(), seller_id: seller };
            let answer = client.create_key(&new, &once.key()?).await?;
            session.output.either(&answer.value, || {
                let lost = if answer.value.key.is_none() {
                    "\nits secret was shown before; revoke it and make another"
                } else {
                    ""
                };
                format!("{}{}{lost}", shown(&answer.value), replay_note(answer.replayed))
            })
        }
        Keys::List(listing) => {
            let head = ["id", "role", "name", "seller", "created at"];
            print_list(session, client.keys_list(listing.page()), &listing, &head, row).await
        }
        Keys::Revoke { id } => {
            client.revoke_key(id).await?;
            session.output.remark("revoked")
        }
    }
}

fn row(key: &Key) -> Vec<String> {
    vec![
        key.id.to_string(),
        role(key.role).to_owned(),
        key.name.clone(),
        or_dash(key.seller_id),
        key.created_at.to_string(),
    ]
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
