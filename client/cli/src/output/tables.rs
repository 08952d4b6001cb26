//! Tables for people: rows under a head, and pairs of a name and a value.

use super::paint::{Cell, Tone};

/// Rows under a head; each column as wide as its widest cell. Columns named with a leading `>` are flush right.
pub(crate) fn table<C: Clone + Into<Cell>>(head: &[&str], rows: &[Vec<C>]) -> String {
    let rows: Vec<Vec<Cell>> = rows.iter().map(|row| row.iter().cloned().map(Into::into).collect()).collect();
    let mut columns = Columns::new(head);
    columns.widen(&rows);
    let lines = std::iter::once(columns.head()).chain(rows.iter().map(|row| columns.row(row)));
    lines.collect::<Vec<_>>().join("\n")
}

/// The columns of a table whose rows come piece by piece.
#[derive(Debug)]
pub(crate) struct Columns {
    head: Vec<Cell>,
    right: Vec<bool>,
    widths: Vec<usize>,
}

impl Columns {
    pub(crate) fn new(head: &[&str]) -> Columns {
        let cells: Vec<Cell> = head.iter().map(|name| Cell::new(name.trim_start_matches('>'), Tone::Head)).collect();
        let widths = cells.iter().map(Cell::width).collect();
        Columns { head: cells, right: head.iter().map(|name| name.starts_with('>')).collect(), widths }
    }

    /// Makes room for these rows too; no column ever shrinks.
    pub(crate) fn widen(&mut self, rows: &[Vec<Cell>]) {
        for row in rows {
            self.widths.iter_mut().zip(row).for_each(|(width, cell)| *width = cell.width().max(*width));
        }
    }

    pub(crate) fn head(&self) -> String {
        self.row(&self.head)
    }

    pub(crate) fn row(&self, cells: &[Cell]) -> String {
        let (mut line, mut gap) = (String::new(), 0);
        for ((cell, &width), &right) in cells.iter().zip(&self.widths).zip(&self.right) {
            let room = width - cell.width().min(width);
            let (before, after) = if right { (room, 0) } else { (0, room) };
            if cell.is_empty() {
                gap += width;
            } else {
                line.push_str(&" ".repeat(gap + before));
                line.push_str(&cell.to_string());
                gap = after;
            }
            gap += 2;
        }
        line
    }
}

/// Names and values, one pair a line.
pub(crate) fn sheet<C: Clone + Into<Cell>>(pairs: &[(&str, C)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): &(&str, C)| format!("{name:<width$}  {}", value.clone().into());
    pairs.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::paint;
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_its_widest_cell() {
        let rows = [vec!["a".to_owned(), "1,000".to_owned()], vec!["longer".to_owned(), "5".to_owned()]];
        let shown = paint::shown(&table(&["name", ">sum"], &rows), false);
        assert_eq!(shown, "name      sum\na       1,000\nlonger      5");
    }

    #[test]
    fn columns_line_up_under_persian_names_and_colours() {
        let rows = [
            vec![Cell::from("فروشگاه\u{200c}ها"), Cell::good("ok"), "1".into()],
            vec!["a".into(), Cell::from(""), "22".into()],
        ];
        let shown = paint::shown(&table(&["name", "state", ">n"], &rows), false);
        assert_eq!(shown, "name       state   n\nفروشگاه\u{200c}ها  ok      1\na                 22");
    }
}
