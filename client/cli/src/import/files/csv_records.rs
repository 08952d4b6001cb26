//! The records of a CSV file, with the number of each one's first line as an editor shows it.
//!
//! A quote that is opened and not closed is a fault: the lines after it would be lost in one cell.

use memchr::memchr_iter;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line number and what is wrong there.
pub(crate) type Fault = (u64, String);

/// The records of a file with the numbers of their lines.
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    reader: csv::Reader<&'a [u8]>,
    /// Where the count of lines has got to, and the line there.
    counted: (usize, u64),
}

/// One record, with the number of its first line.
pub(crate) struct Record {
    pub(crate) number: u64,
    pub(crate) cells: csv::ByteRecord,
}

impl<'a> Records<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Records<'a> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
        Records { bytes, reader, counted: (0, 1) }
    }

    /// Where the reader is in the file. In memory, so that it fits.
    fn byte(&self) -> usize {
        usize::try_from(self.reader.position().byte()).unwrap_or(usize::MAX)
    }

    /// The line of the first byte from `at` on that is no line's end. The reader's own count is one behind after `\r\n`.
    fn line_at(&mut self, at: usize) -> (usize, u64) {
        let skipped = self.bytes[at..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let (from, line) = self.counted;
        let start = at + skipped;
        let ends = (from..start).filter(|&at| match self.bytes[at] {
            b'\n' => true,
            b'\r' => self.bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        self.counted = (start, line + ends.count() as u64);
        self.counted
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, Fault>;

    fn next(&mut self) -> Option<Result<Record, Fault>> {
        let begin = self.byte();
        let mut cells = csv::ByteRecord::new();
        let read = self.reader.read_byte_record(&mut cells);
        let end = self.byte();
        let (start, number) = self.line_at(begin.min(self.bytes.len()));
        match read {
            Ok(false) => None,
            // An open quote makes one cell of all that follows: lines would be lost in it unseen.
            Ok(true) if memchr_iter(b'"', &self.bytes[start.min(end)..end]).count() % 2 == 1 => {
                Some(Err((number, "a quote is opened and not closed".to_owned())))
            }
            Ok(true) => Some(Ok(Record { number, cells })),
            Err(error) => Some(Err((number, error.to_string()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<u64> {
        Records::new(text.as_bytes()).map(|record| record.map(|record| record.number).unwrap()).collect()
    }

    #[test]
    fn a_line_has_the_number_that_an_editor_shows_whatever_ends_it() {
        assert_eq!(numbers("a,b\n1,2\n3,4"), [1, 2, 3]);
        assert_eq!(numbers("a,b\r\n1,2\r\n3,4\r\n"), [1, 2, 3]);
        assert_eq!(numbers("a,b\r1,2\r3,4\r"), [1, 2, 3]);
        assert_eq!(numbers("\u{feff}a,b\r\n\r\n1,2\r\n\n\n3,4\r\n\r\n"), [1, 3, 6]);
        assert_eq!(numbers("a,b\n1,\"x\ny\"\n3,4\n"), [1, 2, 4]);
    }

    #[test]
    fn an_open_quote_is_found() {
        let mut records = Records::new(b"a,b\n1,\"x\n3,4\n");
        records.next();
        assert!(matches!(records.next(), Some(Err((2, _)))));
    }
}
