//! `etebar charges import FILE.csv`: a charge for each line, each once, however often the import is interrupted and
//! started again.
//!
//! Read in this order: [`files`] (the input, checked whole before anything is sent, and what is known of each line, on
//! the disk before it matters), [`window`] (how long a line without an answer may be sent again), [`batch`] and [`drive`]
//! (batches under way), [`report`] (the summary at the end).
//!
//! Invariant: a line has one key from before it is first sent until it is answered, and is never sent under it when the
//! cluster may have forgotten that key.

mod batch;
mod drive;
mod files;
mod progress;
mod report;
mod signals;
mod window;

use etebar::api::Seller;
use etebar::{Call, IdempotencyKey};

use crate::arguments::Import;
use crate::output::error::CliError;
use crate::session::Session;
use drive::Ending;
use files::input::Input;
use files::paths::Paths;
use files::record::{Header, VERSION};
use files::resume::Resume;
use report::ImportReport;
use window::{Clock, Window};

pub(crate) async fn run(session: &Session, verb: Import) -> Result<(), CliError> {
    let paths = Paths::of(&verb.file)?;
    let input = Input::read(&paths)?;
    let known = Resume::open(&paths, &input)?;
    if let Some(resume) = &known
        && resume.is_complete()
    {
        let report = ImportReport::new(&input, resume, 0);
        return report.finish(session, &paths, Ending::Done);
    }
    let cluster = ask(session).await?;
    let mut resume = match known {
        Some(resume) => resume.of_seller(&cluster.seller)?,
        None => start(&paths, &input, &cluster)?,
    };
    if cluster.credit_is_short(&input) {
        session.output.progress("the lines add up to more than the seller's credit: some will be refused");
    }
    let before = resume.answered_count();
    let ending = drive::drive(session, &cluster.window, &mut resume, &input, verb.parallel).await;
    let report = ImportReport::new(&input, &resume, resume.answered_count() - before);
    report.finish(session, &paths, ending)
}

/// What the cluster says before anything is sent.
struct Asked {
    seller: Seller,
    window: Window,
}

impl Asked {
    fn credit_is_short(&self, input: &Input) -> bool {
        let balance = self.seller.balance;
        input.sum(balance.decimals()) > balance.minor()
    }
}

async fn ask(session: &Session) -> Result<Asked, CliError> {
    let me = Call::get("/v1/sellers/me");
    let (seller, raw) = session.client.fetch_raw(&me).await.map_err(|error| match error.problem() {
        Some(problem) if problem.status == 404 => CliError::Advised {
            text: "this API key belongs to no seller; nothing was sent".to_owned(),
            hint: "an import charges a seller's credit: set --key or ETEBAR_KEY to that seller's key".to_owned(),
            code: 1,
        },
        Some(_) | None => CliError::Call(error),
    })?;
    let clock = Clock::of_answer(&raw);
    let cluster = session.client.cluster().await?.value;
    Ok(Asked { seller, window: Window::new(clock, cluster.key_window_seconds, session.client.timeout()) })
}

/// Fixes every line's key and puts the resume file in its place. Nothing was sent before.
fn start(paths: &Paths, input: &Input, cluster: &Asked) -> Result<Resume, CliError> {
    let decimals = cluster.seller.balance.decimals();
    input.check_amounts(paths, decimals)?;
    let header = Header {
        etebar_import: VERSION,
        input_blake3: input.digest.clone(),
        lines: input.lines.len() as u64,
        seller_id: cluster.seller.id,
        decimals,
        key_prefix: IdempotencyKey::random()?.to_string(),
        key_window_seconds: cluster.window.seconds(),
        begun_at: cluster.window.now(),
    };
    Resume::create(paths, header, input)
}
