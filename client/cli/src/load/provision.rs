//! Sellers made for a purpose: each with an API key and approved credit.

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use uuid::Uuid;

use etebar::api::{AmountIn, NewCreditRequest, NewDecision, NewKey, NewSeller, Role};
use etebar::{Client, IdempotencyKey};

use crate::output::error::CliError;

/// Sellers made at once.
const AT_ONCE: usize = 16;

/// A seller that can charge. As JSON: a line of a sellers file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Provisioned {
    pub(crate) seller_id: Uuid,
    /// The secret of its API key.
    pub(crate) key: String,
}

/// How much credit each seller gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Credit {
    /// As the caller wrote it.
    Amount(AmountIn),
    /// So many minor units of the ledger's currency.
    Minor(i64),
}

/// What was made.
pub(crate) struct Made {
    pub(crate) sellers: Vec<Provisioned>,
    /// Decimals of the ledger's currency.
    pub(crate) decimals: u32,
}

/// Makes `count` sellers, named after `purpose` and random digits. Needs an admin key.
pub(crate) async fn sellers(client: &Client, count: u32, credit: Credit, purpose: &str) -> Result<Made, CliError> {
    let run = IdempotencyKey::random()?.as_str()[..8].to_owned();
    let mut made = Vec::with_capacity(count as usize);
    let mut decimals = 0;
    let mut tasks = JoinSet::new();
    let mut next = 0;
    loop {
        while next < count && tasks.len() < AT_ONCE {
            tasks.spawn(seller(client.clone(), format!("{purpose}-{run}-{next}"), credit));
            next += 1;
        }
        let Some(joined) = tasks.join_next().await else { break };
        let (seller, its_places) = joined.map_err(|error| CliError::local(error.to_string()))??;
        decimals = its_places;
        made.push(seller);
    }
    Ok(Made { sellers: made, decimals })
}

async fn seller(client: Client, name: String, credit: Credit) -> Result<(Provisioned, u32), CliError> {
    let seller =
        client.create_seller(&NewSeller { name: name.as_str().into() }, &IdempotencyKey::random()?).await?.value;
    let decimals = seller.balance.decimals();
    let key = secret(&client, &name, seller.id).await?;
    let amount = match credit {
        Credit::Amount(amount) => amount,
        Credit::Minor(minor) => AmountIn::from_minor(minor, decimals),
    };
    let own = client.with_key(&key)?;
    let request = own
        .request_credit(
            &NewCreditRequest { amount, note: None, reference: None, seller_id: None },
            &IdempotencyKey::random()?,
        )
        .await?
        .value;
    client.approve(request.id, &NewDecision::default()).await?;
    Ok((Provisioned { seller_id: seller.id, key }, decimals))
}

/// A seller's key. Where the first answer was lost, the secret is too: that key is revoked and another made.
async fn secret(client: &Client, name: &str, seller: Uuid) -> Result<String, CliError> {
    for attempt in 0..10 {
        let name = if attempt == 0 { name.to_owned() } else { format!("{name}-{attempt}") };
        let new =
            NewKey { role: Role::Seller, name: name.into(), seller_id: Some(seller), limit: None, expires_at: None };
        let key = client.create_key(&new, &IdempotencyKey::random()?).await?.value;
        match key.key {
            Some(secret) => return Ok(secret),
            None => client.revoke_key(key.id).await?,
        };
    }
    Err(CliError::local("ten keys were made and every first answer was lost"))
}
