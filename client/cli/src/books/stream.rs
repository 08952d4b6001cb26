//! The journal as a stream: pages are fetched ahead while earlier ones are worked on.

use tokio::sync::mpsc;

use etebar::api::{Entry, MAX_PAGE};
use etebar::{Client, Error};

/// Pages fetched ahead.
const AHEAD: usize = 4;

type Pages = mpsc::Receiver<Result<Vec<Entry>, Error>>;

/// Reads the journal from an entry on, up to a bound that may be raised.
pub(crate) struct Journal {
    client: Client,
    pages: Pages,
    /// Read, not yet taken.
    rest: std::vec::IntoIter<Entry>,
    /// The number of the last entry that was taken, if none is missing.
    taken: u64,
    /// Where the journal ended when it was read to its end last. It may have grown since.
    ended_at: Option<u64>,
}

impl Journal {
    /// From the entry after `after` on; 0 begins with the first.
    pub(crate) fn open(client: Client, after: u64) -> Journal {
        let pages = fetch(client.clone(), after);
        Journal { client, pages, rest: Vec::new().into_iter(), taken: after, ended_at: None }
    }

    /// The next entry up to entry `bound`; `None` after it, or where the journal ends before.
    pub(crate) async fn next(&mut self, bound: u64) -> Result<Option<Entry>, Error> {
        if self.taken >= bound {
            return Ok(None);
        }
        loop {
            if let Some(entry) = self.rest.next() {
                self.taken += 1;
                return Ok(Some(entry));
            }
            match self.pages.recv().await {
                Some(page) => self.rest = page?.into_iter(),
                None if self.ended_at == Some(self.taken) => return Ok(None),
                None => {
                    self.ended_at = Some(self.taken);
                    self.pages = fetch(self.client.clone(), self.taken);
                }
            }
        }
    }
}

/// Fetches the pages after entry `after` up to the end that the journal has by then.
fn fetch(client: Client, after: u64) -> Pages {
    let (sender, pages) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut pager = if after == 0 { client.journal(MAX_PAGE) } else { client.journal_from(after + 1, MAX_PAGE) };
        loop {
            let page = match pager.next_page().await {
                Ok(Some(page)) => Ok(page.value.items),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let ended = page.is_err();
            if sender.send(page).await.is_err() || ended {
                return;
            }
        }
    });
    pages
}
