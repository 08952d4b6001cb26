"""What batching does: `etebar bench` at several connections and batch sizes, and how many charges
each log entry carried.

    python3 docs/examples/bench.py [--seconds 3] [--cluster DIR] [--nodes N]

With the folder of a cluster that up.sh started it also reads the CPU time of each of the leader's
threads. `--nodes N` only adds a line for a cluster of N nodes to the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path

from etebar_charge import Etebar
from example import claim, cluster, keep, keeps, settle

PROGRAM = os.environ.get("PROGRAM", Path(__file__).resolve().parents[2] / "target/release/etebar")
TICKS = os.sysconf("SC_CLK_TCK")


def position() -> int:
    """The index of the last entry in the log; an idle cluster does not move it."""
    servers, key = cluster()
    return settle(Etebar(servers, key), "GET", "/v1/cluster")["applied"]


def bench(connections: int, batch: int, seconds: float) -> dict:
    """What the program measured, and the log entries that it took."""
    servers, key = cluster()
    environment = {**os.environ, "ETEBAR_SERVER": ",".join(servers), "ETEBAR_KEY": key}
    before = position()
    command = [
        str(PROGRAM),
        "bench",
        "--json",
        "--sellers",
        "10",
        "--seconds",
        str(max(1, round(seconds))),
    ]
    command += ["--connections", str(connections), "--batch", str(batch)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=120)
    report = json.loads(done.stdout)
    claim(
        report["books_exact"],
        f"{connections} connections, {batch} charges a request: the books are exact.",
    )
    report["charges_an_entry"] = report["accepted"] / (position() - before)
    return report


def leader_threads(folder: Path) -> dict[str, float]:
    """CPU seconds by the name of the leader's threads."""
    servers, key = cluster()
    leader = settle(Etebar(servers, key), "GET", "/v1/cluster")["leader"]
    nodes = json.loads((folder / "cluster.json").read_text())["nodes"]
    pid = next(node["pid"] for node in nodes if node["id"] == leader)
    seconds: dict[str, float] = defaultdict(float)
    for thread in Path(f"/proc/{pid}/task").iterdir():
        name = (thread / "comm").read_text().strip()
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        name = "sled" if name.startswith("sled") else name
        name = name if name in ("http", "raft", "log-writer", "sled") else "others"
        seconds[name] += (int(fields[11]) + int(fields[12])) / TICKS
    return seconds


SINGLES = [(connections, 1) for connections in (1, 4, 16, 64, 256)]
BATCHES = [(8, batch) for batch in (1, 10, 100, 1_000)]
HEADER = (
    "connections",
    "charges a request",
    "charges a second",
    "log entries a second",
    "charges an entry",
    "median in ms",
    "99 % in ms",
)


def curves(seconds: float) -> None:
    """Charges and log entries a second, over connections and over the size of batches."""
    rows = []
    for connections, batch in SINGLES + BATCHES:
        report = bench(connections, batch, seconds)
        charges, each = report["charges_per_second"], report["charges_an_entry"]
        counts = round(charges), round(charges / each), f"{each:.1f}"
        rows.append((connections, batch, *counts, report["p50_ms"], report["p99_ms"]))
        print("{} connections, {} a request: {} charges/s in {} entries/s of {}".format(*rows[-1]))
    keep("bench", HEADER, rows)


LOADS = {"one connection": (1, 1), "256 connections": (256, 1), "batches of 1,000": (8, 1_000)}


def threads(folder: Path, seconds: float) -> None:
    """CPU time of the leader's threads for each charge: alone, among many, in batches."""
    used = {}
    for load, (connections, batch) in LOADS.items():
        before = leader_threads(folder)
        accepted = bench(connections, batch, seconds)["accepted"]
        # Helpers for blocking work end at times, and their CPU time with them.
        spent = {
            name: max(0.0, total - before[name]) for name, total in leader_threads(folder).items()
        }
        used[load] = {name: 1e6 * seconds_used / accepted for name, seconds_used in spent.items()}
    names = ("http", "raft", "log-writer", "sled")
    rows = [(name, *(f"{used[load].get(name, 0.0):.1f}" for load in LOADS)) for name in names]
    rows.append(("all", *(f"{sum(used[load].values()):.1f}" for load in LOADS)))
    for row in rows:
        print("leader, thread {}: {} / {} / {} us of CPU a charge".format(*row))
    keep("leader_threads", ("threads of the leader", *(f'"{load}"' for load in LOADS)), rows)


def nodes(count: int, seconds: float) -> None:
    report = bench(64, 1, seconds)
    row = (count, round(report["charges_per_second"]), report["p50_ms"], report["p99_ms"])
    print("{} nodes: {} charges/s, median {} ms, 99 % {} ms".format(*row))
    if not keeps():
        return
    kept = Path(os.environ["FIGURES"], "nodes.csv")
    lines = kept.read_text().splitlines()[1:] if kept.exists() else []
    rows = {int(cells[0]): cells for cells in (line.split(",") for line in lines)}
    rows[count] = [str(cell) for cell in row]
    header = ("nodes", "charges a second", "median in ms", "99 % in ms")
    keep("nodes", header, [rows[number] for number in sorted(rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--cluster", type=Path, metavar="DIR")
    parser.add_argument("--nodes", type=int, metavar="N")
    options = parser.parse_args()
    if options.nodes is not None:
        return nodes(options.nodes, options.seconds)
    curves(options.seconds)
    if options.cluster is not None:
        threads(options.cluster, options.seconds)


if __name__ == "__main__":
    main()
