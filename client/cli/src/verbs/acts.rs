//! `etebar acts` and `etebar policy`.

use etebar::api::{Act, MAX_PAGE, Policy};

use crate::arguments::{self, Acts, Switch};
use crate::lists::{self, Listed};
use crate::output::done::Done;
use crate::output::error::CliError;
use crate::output::paint::Cell;
use crate::output::{grouped, or_dash, sheet};
use crate::session::Session;

pub(crate) async fn list(session: &Session, verb: Acts) -> Result<(), CliError> {
    let acts = session.client.acts_list(verb.actor.as_deref(), verb.span.span()?, MAX_PAGE);
    lists::print(session, acts, &verb.listing).await
}

pub(crate) async fn policy(session: &Session, verb: &arguments::Policy) -> Result<(), CliError> {
    let Some(four_eyes) = verb.four_eyes else {
        let policy = session.client.policy().await?.value;
        return session.output.either(&policy, || shown(policy));
    };
    let policy = Policy { four_eyes: four_eyes == Switch::On };
    let set = session.write(None, session.client.set_policy(policy)).await?.value;
    session.report(&set, || shown(set), || Done::new("the policy is set"))
}

fn shown(policy: Policy) -> String {
    sheet(&[("four eyes", if policy.four_eyes { "on" } else { "off" }.to_owned())])
}

impl Listed for Act {
    const HEAD: &'static [&'static str] =
        &[">record", "created at", "actor", "node", "address", "act", ">amount", "about", "refused"];
    const COLUMNS: &'static [&'static str] = &[
        "record",
        "created_at",
        "actor",
        "node",
        "address",
        "kind",
        "refused",
        "seller_id",
        "key_id",
        "credit_request_id",
        "charge_id",
        "entry",
        "amount",
        "name",
        "role",
        "reason",
        "member",
        "four_eyes",
    ];

    fn row(&self) -> Vec<Cell> {
        let about = self.name.clone().or_else(|| self.member.map(|member| format!("node {member}")));
        let four_eyes = |on: bool| if on { "four eyes on" } else { "four eyes off" }.to_owned();
        let about = about.or_else(|| self.four_eyes.map(four_eyes));
        let id = self.credit_request_id.or(self.charge_id).or(self.key_id).or(self.seller_id);
        vec![
            self.record.to_string().into(),
            self.created_at.to_string().into(),
            self.actor.clone().into(),
            or_dash(self.node).into(),
            or_dash(self.address).into(),
            word(&self.kind).into(),
            or_dash(self.amount.map(grouped)).into(),
            or_dash(about.or_else(|| id.map(|id| id.to_string()))).into(),
            or_dash(self.refused.as_ref().map(word)).into(),
        ]
    }
}

/// A value as JSON has it, in words.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}
