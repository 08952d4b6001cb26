"""Puts the figures of docs/figures/*.csv into the tables of the chapter, between their marks.

    python3 docs/examples/tables.py [--check]

`<!-- figures:NAME -->` begins a table and `<!-- end -->` ends it. `--check` changes nothing and
fails where a table is not what its CSV says.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path
from typing import List

DOCS = Path(__file__).resolve().parents[1]
CHAPTER = DOCS / "processes-and-threads.md"
MARKED = re.compile(r"(<!-- figures:(\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

Rows = List[List[str]]


def whole(rows: Rows) -> Rows:
    return rows


def drive(rows: Rows) -> Rows:
    """A line a kind: charges a second at three numbers of workers, and what a charge costs at the
    most that all have.
    """
    cell = {(row[0], row[1]): row for row in rows[1:]}
    kinds = list(dict.fromkeys(row[0] for row in rows[1:]))
    table = [
        [
            "charges a second with",
            "1 worker",
            "8 workers",
            "32 workers",
            "client CPU a charge, 32 workers",
        ]
    ]
    for kind in kinds:
        counts = [cell[kind, workers][2] for workers in ("1", "8", "32")]
        table.append([kind, *counts, cell[kind, "32"][4] + " us"])
    return table


def gil(rows: Rows) -> Rows:
    """A line for each kind of work and way: how much faster with more workers, and the cores that
    were busy.
    """
    cell = {tuple(row[:3]): row for row in rows[1:]}
    ways = list(dict.fromkeys((row[0], row[1]) for row in rows[1:]))
    table = [["work", "in", "2 workers", "4 workers", "8 workers", "cores busy with 8"]]
    for work, how in ways:
        faster = [cell[work, how, workers][4] + " times" for workers in ("2", "4", "8")]
        table.append([work, how, *faster, cell[work, how, "8"][5]])
    return table


VIEWS = {"drive": drive, "gil": gil}


def pretty(cell: str) -> str:
    return f"{int(cell):,}" if cell.isdigit() else cell


def table(name: str) -> str:
    with open(DOCS / "figures" / f"{name}.csv", newline="") as file:
        rows = VIEWS.get(name, whole)(list(csv.reader(file)))
    lines = ["| " + " | ".join(pretty(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:], ""])


def main() -> None:
    text = CHAPTER.read_text()
    filled = MARKED.sub(lambda mark: mark[1] + table(mark[2]) + mark[3], text)
    if "--check" not in sys.argv:
        CHAPTER.write_text(filled)
    elif filled != text:
        sys.exit("the tables of the chapter are not what the figures say: run tables.py")


if __name__ == "__main__":
    main()
