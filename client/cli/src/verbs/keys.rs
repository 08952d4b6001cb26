//! `etebar keys`.

use etebar::api::{Key, MAX_PAGE, NewKey, NewRotation, Role};

use crate::arguments::Keys;
use crate::lists::{self, Listed};
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::words::replay_note;
use crate::output::{grouped, or_dash, sheet};
use crate::session::Session;

pub(crate) async fn run(session: &Session, verb: Keys) -> Result<(), CliError> {
    let client = &session.client;
    match verb {
        Keys::Create { role, name, seller, limit, expires, once } => {
            let (role, name) = (role.into(), name.into());
            let new = NewKey { role, name, seller_id: seller, limit, expires_at: expires };
            let key = once.key()?;
            let answer = session.write(Some(&key), client.create_key(&new, &key)).await?;
            let made = &answer.value;
            let text = || format!("{}{}{}", shown(made), replay_note(answer.replayed), lost_note(made));
            session.report(made, text, || {
                let hint = format!(
                    "its secret is lost, and cannot be shown again: `etebar keys revoke {}`, then make another",
                    made.id
                );
                Done::new("the API key exists").id(made.id).under(&key).hint(hint)
            })
        }
        Keys::Rotate { id, overlap, expires, once } => {
            let new = NewRotation { overlap_seconds: Some(overlap.as_secs()), expires_at: expires };
            let key = once.key()?;
            let answer = session.write(Some(&key), client.rotate_key(id, &new, &key)).await?;
            let made = &answer.value;
            let text = || {
                let old = format!("the old key {id} is valid until {}", made.old_expires_at);
                format!("{}{}{}\n{old}", shown(&made.key), replay_note(answer.replayed), lost_note(&made.key))
            };
            session.report(made, text, || {
                let hint = format!(
                    "its secret is lost, and cannot be shown again: `etebar keys rotate {}` makes another",
                    made.key.id
                );
                Done::new("the API key is rotated").id(made.key.id).under(&key).hint(hint)
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
    const HEAD: &'static [&'static str] = &["id", "role", "name", "seller", ">limit", "created at", "expires at"];
    const COLUMNS: &'static [&'static str] = &["id", "role", "name", "seller_id", "limit", "created_at", "expires_at"];

    fn row(&self) -> Vec<Cell> {
        vec![
            self.id.to_string().into(),
            role(self.role).into(),
            self.name.clone().into(),
            or_dash(self.seller_id).into(),
            or_dash(self.limit.map(grouped)).into(),
            self.created_at.to_string().into(),
            or_dash(self.expires_at).into(),
        ]
    }
}

/// What to do about a secret that an earlier answer had.
fn lost_note(key: &Key) -> &'static str {
    if key.key.is_some() {
        return "";
    }
    "\nits secret was in the first answer alone: without it, revoke the key and make another"
}

fn shown(key: &Key) -> String {
    let mut pairs = vec![
        ("id", key.id.to_string()),
        ("role", role(key.role).to_owned()),
        ("name", key.name.clone()),
        ("seller", or_dash(key.seller_id)),
        ("key", or_dash(key.key.as_ref())),
        ("created at", key.created_at.to_string()),
    ];
    pairs.extend(key.limit.map(|limit| ("limit", grouped(limit))));
    pairs.extend(key.expires_at.map(|end| ("expires at", end.to_string())));
    sheet(&pairs)
}

pub(crate) fn role(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Seller => "seller",
        Role::Auditor => "auditor",
        Role::Approver => "approver",
        Role::Operator => "operator",
    }
}
