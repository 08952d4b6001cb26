//! `etebar charges import FILE.csv`: a charge for each line, each once, however often the import is interrupted and begun again.
//!
//! Read in this order: [`input`] (the file, checked whole before anything is sent), [`record`] and [`resume`] (what is
//! known of each line, on the disk before it matters), [`window`] (how long a line without an answer may be sent again), [`drive`]
//! (batches under way), [`result`] (what became of each line), [`report`] (what is said of it).
//!
//! Invariant: a line has one key from before it is first sent until it is answered, and is never sent under it when the
//! cluster may have forgotten that key.

mod drive;
mod input;
mod place;
mod progress;
mod record;
mod report;
mod result;
mod resume;
mod window;

use etebar::api::Seller;
use etebar::{Call, IdempotencyKey};

use super::arguments::Import;
use crate::output::stop::Stop;
use crate::session::Session;
use drive::Ending;
use input::Input;
use place::Place;
use record::Header;
use report::Report;
use resume::Resume;
use window::{Clock, Window};

pub(crate) async fn run(session: &Session, verb: Import) -> Result<(), Stop> {
    let place = Place::of(&verb.file)?;
    let input = Input::read(&place)?;
    let known = Resume::open(&place, &input)?;
    if let Some(resume) = &known
        && resume.is_complete()
    {
        let report = Report::new(&input, resume, 0);
        return report.finish(session, &place, Ending::Done);
    }
    let told = ask(session).await?;
    let mut resume = match known {
        Some(resume) => resume.of_seller(&told.seller)?,
        None => begin(&place, &input, &told)?,
    };
    if told.credit_is_short(&input) {
        session.output.progress("the lines add up to more than the seller's credit: some will be refused");
    }
    let before = resume.answered_count();
    let ending = drive::drive(session, &told.window, &mut resume, &input, verb.parallel).await;
    let report = Report::new(&input, &resume, resume.answered_count() - before);
    report.finish(session, &place, ending)
}

/// What the cluster told before anything was sent.
struct Told {
    seller: Seller,
    window: Window,
}

impl Told {
    fn credit_is_short(&self, input: &Input) -> bool {
        let balance = self.seller.balance;
        input.sum(balance.places()) > balance.minor()
    }
}

async fn ask(session: &Session) -> Result<Told, Stop> {
    let me = Call::get("/v1/sellers/me");
    let (seller, raw) = session.client.fetch_raw(&me).await.map_err(|error| match error.problem() {
        Some(problem) if problem.status == 404 => Stop::Advised {
            text: "this API key belongs to no seller; nothing was sent".to_owned(),
            hint: "an import charges a seller's credit: set --key or ETEBAR_KEY to that seller's key".to_owned(),
            code: 1,
        },
        Some(_) | None => Stop::Call(error),
    })?;
    let clock = Clock::told_by(&raw);
    let cluster = session.client.cluster().await?.value;
    Ok(Told { seller, window: Window::new(clock, cluster.key_window_seconds, session.client.timeout()) })
}

/// Fixes every line's key and puts the resume file in its place. Nothing was sent before.
fn begin(place: &Place, input: &Input, told: &Told) -> Result<Resume, Stop> {
    let places = told.seller.balance.places();
    input.check_amounts(place, places)?;
    let header = Header {
        etebar_import: record::VERSION,
        input_blake3: input.digest.clone(),
        lines: input.lines.len() as u64,
        seller_id: told.seller.id,
        places,
        key_prefix: IdempotencyKey::random()?.to_string(),
        key_window_seconds: told.window.seconds(),
        begun_at: told.window.now(),
    };
    Resume::create(place, header, input)
}
