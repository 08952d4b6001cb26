"""What the examples share: finding the cluster, and a seller with credit in it.

The cluster is named by ETEBAR_SERVER and ETEBAR_KEY (an admin's key), as for the program `etebar`;
without them it is the one that `cluster-scripts/up.sh` started in data/local.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
import uuid
from pathlib import Path

from etebar_charge import Etebar, NotSent, Server

PHONE = "09123456789"


def cluster() -> tuple[list[str], str]:
    """The addresses of the nodes and the admin's key."""
    if "ETEBAR_SERVER" in os.environ and "ETEBAR_KEY" in os.environ:
        return os.environ["ETEBAR_SERVER"].split(","), os.environ["ETEBAR_KEY"]
    description = Path(__file__).resolve().parents[2] / "data/local/cluster.json"
    if not description.exists():
        sys.exit("no cluster: run cluster-scripts/up.sh first, or set ETEBAR_SERVER and ETEBAR_KEY")
    local = json.loads(description.read_text())
    return [node["api"] for node in local["nodes"]], local["admin_key"]


def plain(address: str) -> tuple[str, int]:
    """Host and port of a node that an example speaks to by itself: without TLS, so on this machine
    alone.
    """
    server = Server.parse(address)
    if server.tls or not server.is_loopback():
        sys.exit(f"{address}: this example speaks plain HTTP, and sends a key to loopback alone")
    return server.host, server.port


def settle(caller: Etebar, method: str, path: str, body: dict | None = None) -> dict:
    """A call of the preparation, repeated under one key over all nodes; the answer's body."""
    key = str(uuid.uuid4()) if method == "POST" else None
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            status, answer, _headers = caller.send(method, path, body, key)
        except (NotSent, OSError, http.client.HTTPException) as error:
            status, answer = 0, {"detail": str(error)}
        if 200 <= status < 300:
            return answer
        if 400 <= status < 500:
            break
        caller.next_node()
        time.sleep(0.1)
    sys.exit(f"{method} {path}: {status} {answer}")


class Seller:
    """A new seller with credit, as its own books show it."""

    def __init__(self, credit: int) -> None:
        self.servers, admin_key = cluster()
        admin = Etebar(self.servers, admin_key)
        name = f"example-{uuid.uuid4().hex[:12]}"
        self.id = settle(admin, "POST", "/v1/sellers", {"name": name})["id"]
        role = {"role": "seller", "name": name, "seller_id": self.id}
        self.key = settle(admin, "POST", "/v1/keys", role)["key"]
        self.api = Etebar(self.servers, self.key)
        request = settle(self.api, "POST", "/v1/credit-requests", {"amount": str(credit)})
        settle(admin, "POST", f"/v1/credit-requests/{request['id']}/approve")

    def books(self) -> dict:
        """The seller's books, recomputed by a node from the journal: amounts as numbers."""
        books = settle(self.api, "GET", f"/v1/sellers/{self.id}/reconciliation")
        assert books["consistent"], books
        return {name: int(books[name]) for name in ("credits", "charges", "balance")}

    def charged(self) -> int:
        """What was charged in all; a charge is negative in the books."""
        return -self.books()["charges"]


def claim(holds: bool, sentence: str) -> None:
    """Ends the example with an error where what it says does not show."""
    if not holds:
        sys.exit(f"{Path(sys.argv[0]).name}: not shown: {sentence}")
    print(sentence)


def keeps() -> bool:
    """Whether figures shall be kept: where FIGURES names a folder, as measure.sh does."""
    return "FIGURES" in os.environ


def keep(name: str, header: tuple, rows: list) -> None:
    """Writes what was measured to FIGURES/name.csv, where it shall be kept."""
    if keeps():
        lines = [",".join(str(cell) for cell in row) for row in (header, *rows)]
        Path(os.environ["FIGURES"], f"{name}.csv").write_text("\n".join(lines) + "\n")
