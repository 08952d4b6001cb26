"""Draws the curves of docs/figures/*.csv as SVG, with the standard library alone: `python3
docs/examples/plot.py [FOLDER]`.

A picture depends on its CSV and on nothing else, so that `--check` can say whether it is up to
date. Each has its own background, light or dark as the reader's system is.
"""

from __future__ import annotations

import csv
import math
import sys
from html import escape
from pathlib import Path
from typing import Dict, List, Tuple

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 780, 400, 88, 190, 46, 52
LIGHT = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#9a6700", "#cf222e")
DARK = ("#4493f8", "#f0883e", "#3fb950", "#ab7df8", "#d29922", "#f85149")


def colours(shades: tuple) -> str:
    """The classes c0, c1 and so on: circles and names filled, lines drawn."""
    rules = (
        f".c{index} {{ fill: {shade}; }} polyline.c{index} {{ fill: none; stroke: {shade}; }}"
        for index, shade in enumerate(shades)
    )
    return " ".join(rules)


STYLE = f"""
  svg {{ color-scheme: light dark; }}
  text {{ font: 13px system-ui, sans-serif; fill: #1f2328; }}
  .title {{ font-size: 15px; font-weight: 600; }}
  .back {{ fill: #ffffff; stroke: #d1d9e0; }}
  .grid {{ stroke: #d1d9e0; }}
  polyline {{ stroke-width: 2; }}
  .dashed {{ stroke-dasharray: 6 4; }}
  {colours(LIGHT)}
  @media (prefers-color-scheme: dark) {{
    text {{ fill: #e6edf3; }}
    .back {{ fill: #0d1117; stroke: #3d444d; }}
    .grid {{ stroke: #3d444d; }}
    {colours(DARK)}
  }}
"""

Curves = Dict[str, List[Tuple[float, float]]]


def ticks(top: float) -> list[float]:
    """About five round steps from 0 to at least `top`."""
    size = 10 ** math.floor(math.log10(top / 5))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor * 5 >= top)
    return [step * count for count in range(math.ceil(top / step - 1e-9) + 1)]


def number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def spread(heights: list[float], gap: float = 16) -> list[float]:
    """The same heights, moved apart where names would lie on each other; the order stays."""
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = list(heights)
    for before, index in zip(order, order[1:]):
        placed[index] = max(placed[index], placed[before] + gap)
    over = max(placed) - (HEIGHT - BOTTOM)
    return [height - max(0.0, over) for height in placed]


def chart(title: str, across: str, up: str, curves: Curves) -> str:
    """One picture: the horizontal axis in equal ratios, the vertical one from 0, the name of each
    curve at its end.
    """
    places = sorted({x for points in curves.values() for x, _y in points})
    marks = ticks(max(y for points in curves.values() for _x, y in points))
    low, high = math.log(places[0]), math.log(places[-1])

    def at(x: float, y: float) -> tuple[float, float]:
        wide = (math.log(x) - low) / (high - low) * (WIDTH - LEFT - RIGHT)
        return LEFT + wide, HEIGHT - BOTTOM - y / marks[-1] * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    out += [f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>"]
    out.append(
        f'<rect class="back" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="6"/>'
    )
    out.append(f'<text class="title" x="16" y="26">{escape(title)}</text>')
    for mark in marks:
        _x, y = at(places[0], mark)
        out.append(
            f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'
        )
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number(mark)}</text>')
    for place in places:
        x, y = at(place, 0)
        out.append(
            f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{number(place)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    out.append(
        f'<text x="{middle:.0f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(across)}</text>'
    )
    half = HEIGHT / 2
    turned = f'x="18" y="{half:.0f}" text-anchor="middle" transform="rotate(-90 18 {half:.0f})"'
    out.append(f"<text {turned}>{escape(up)}</text>")
    names = spread([at(*points[-1])[1] for points in curves.values()])
    for index, ((name, points), height) in enumerate(zip(curves.items(), names)):
        places_of = [at(x, y) for x, y in points]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places_of)
        kind = f"c{index} dashed" if index % 2 else f"c{index}"  # not by colour alone
        out.append(f'<polyline class="{kind}" points="{line}"/>')
        out += [f'<circle class="c{index}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places_of]
        x = WIDTH - RIGHT + 10
        out.append(f'<text class="c{index}" x="{x:.1f}" y="{height + 4:.1f}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>", ""])


def read(folder: Path, name: str) -> list[dict]:
    with open(folder / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def curves_of(rows: list[dict], across: str, up: str, names: tuple) -> Curves:
    """A curve for each value of the columns `names`."""
    curves: dict = {}
    for row in rows:
        name = ", ".join(row[column] for column in names)
        curves.setdefault(name, []).append((float(row[across]), float(row[up])))
    return curves


def pictures(folder: Path) -> dict[str, str]:
    """The text of each picture, by its file's name."""
    drive, gil, bench = (read(folder, name) for name in ("drive", "gil", "bench"))
    singles = [
        row for row in bench if row["charges a request"] == "1" and row["connections"] != "8"
    ]
    batches = [row for row in bench if row["connections"] == "8"]
    both = ("charges a second", "log entries a second")

    def lines(rows: list[dict], across: str) -> Curves:
        return {name: [(float(row[across]), float(row[name])) for row in rows] for name in both}

    return {
        "drive_charges.svg": chart(
            "Charges a second of one Python client",
            "workers (connections)",
            "charges a second",
            curves_of(drive, "workers", "charges a second", ("kind",)),
        ),
        "drive_cores.svg": chart(
            "Cores that the Python client kept busy",
            "workers (connections)",
            "cores",
            curves_of(drive, "workers", "client cores", ("kind",)),
        ),
        "gil.svg": chart(
            "The same work with more workers",
            "workers",
            "times as fast as one worker",
            curves_of(gil, "workers", "times as fast", ("work", "how")),
        ),
        "bench_connections.svg": chart(
            "etebar bench, one charge a request",
            "connections",
            "a second",
            lines(singles, "connections"),
        ),
        "bench_batches.svg": chart(
            "etebar bench, 8 connections",
            "charges a request",
            "a second",
            lines(batches, "charges a request"),
        ),
    }


def main(arguments: list[str]) -> None:
    check = "--check" in arguments
    given = [argument for argument in arguments if not argument.startswith("--")]
    folder = Path(given[0]) if given else Path(__file__).resolve().parents[1] / "figures"
    for name, text in pictures(folder).items():
        if not check:
            (folder / name).write_text(text)
        elif (folder / name).read_text() != text:
            sys.exit(f"{name} is not what its figures say: run plot.py")


if __name__ == "__main__":
    main(sys.argv[1:])
