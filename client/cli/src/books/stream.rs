//! The journal as a stream: pages are fetched ahead while earlier ones are worked on.

use tokio::sync::mpsc;

use etebar::api::{Entry, MAX_PAGE};
use etebar::{Client, Error};

/// Pages fetched ahead.
const AHEAD: usize = 4;

/// Reads the journal from its first entry on, up to a bound that may be raised.
pub(crate) struct Journal {
    pages: mpsc::Receiver<Result<Vec<Entry>, Error>>,
    /// Read, not yet taken.
    rest: std::vec::IntoIter<Entry>,
    taken: u64,
}

impl Journal {
    pub(crate) fn open(client: Client) -> Journal {
        let (sender, pages) = mpsc::channel(AHEAD);
        tokio::spawn(async move {
            let mut pager = client.journal(MAX_PAGE);
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
        Journal { pages, rest: Vec::new().into_iter(), taken: 0 }
    }

    /// The next of the first `bound` entries; `None` after them, or where the journal ends before.
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
                None => return Ok(None),
            }
        }
    }
}
