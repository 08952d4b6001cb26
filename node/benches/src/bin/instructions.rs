//! Decides or applies 1,000 charges once, in a function of its own, for callgrind to count; see
//! cluster-scripts/instructions.sh.

use std::hint::black_box;

use benches::Book;
use ledger::{Command, Record, State};

const CHARGES: u64 = 1_000;

fn main() {
    let mut book = Book::new(1_000);
    // The tables are filled first: what is counted is a ledger at work.
    for command in book.charges(0, 20 * CHARGES) {
        book.submit(&command);
    }
    let commands = book.charges(20 * CHARGES, 21 * CHARGES);
    match std::env::args().nth(1).as_deref() {
        Some("decide") => decide_charges(&book, &commands),
        Some("apply") => {
            let records = book.records_of(&commands);
            apply_records(&mut book.state, &records);
        }
        _ => {
            eprintln!("usage: instructions decide|apply");
            std::process::exit(2);
        }
    }
}

#[inline(never)]
fn decide_charges(book: &Book, commands: &[Command]) {
    for command in commands {
        black_box(book.decide(command));
    }
}

#[inline(never)]
fn apply_records(state: &mut State, records: &[Record]) {
    for record in records {
        black_box(&mut *state).apply(record);
    }
}
