"""Times pages of 100: a seller's statement, and a phone's charges, anywhere in the ledger.

Usage: pages.py URL ADMIN_KEY PAGES. Prints the 99th percentiles in milliseconds: of statements, then of charges.

Which sellers, phones and times is drawn with a seed that standard error names. Each page is asked for on one connection that
stays open, so neither a program's start nor a dial is in it.
"""

import http.client
import json
import random
import sys
import time
import urllib.parse

TIMEOUT_S = 10
SAMPLES_MAX = 100_000


class Node:
    """One node, over one connection."""

    def __init__(self, url, key):
        self.http = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=TIMEOUT_S)
        self.headers = {"Authorization": f"Bearer {key}"}

    def get(self, path, **query):
        """What a GET gives, and how long it took, in milliseconds."""
        began = time.monotonic()
        self.http.request("GET", f"{path}?{urllib.parse.urlencode(query)}", headers=self.headers)
        response = self.http.getresponse()
        body = response.read()
        took_ms = (time.monotonic() - began) * 1000
        if response.status != 200:
            sys.exit(f"{path}: status {response.status}: {body[:200]!r}")
        return json.loads(body), took_ms


def p99(took):
    """The 99th percentile, by the nearest rank."""
    return sorted(took)[-(-len(took) * 99 // 100) - 1]


def sellers(node):
    """The ids of up to 10,000 sellers."""
    found, after = [], {}
    while len(found) < 10_000:
        page, _ = node.get("/v1/sellers", limit=1000, **after)
        found += [seller["id"] for seller in page["items"]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    return found


def walk(node, path, steps, **query):
    """How long pages took from a place in the middle on, and the last of them."""
    took, after, items = [], {}, []
    for _ in range(steps):
        page, ms = node.get(path, limit=100, **query, **after)
        took.append(ms)
        items = page["items"] or items
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    return took, items


def main():
    url, key, pages = sys.argv[1], sys.argv[2], min(int(sys.argv[3]), SAMPLES_MAX)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}", file=sys.stderr)
    dice, node = random.Random(seed), Node(url, key)
    everyone = sellers(node)
    audit, _ = node.get("/v1/audit")
    head = audit["head"]
    statements, charges = [], []
    while len(statements) < pages:
        # A time in the middle: that of an entry drawn at random.
        line, _ = node.get("/v1/journal", limit=100, from_entry=dice.randint(1, max(1, head - 100)))
        entry = dice.choice(line["items"])
        took, _ = walk(node, f"/v1/sellers/{dice.choice(everyone)}/entries", 3, **{"from": entry["created_at"]})
        statements += took
        if entry.get("phone"):
            took, _ = walk(node, "/v1/charges", 3, phone=entry["phone"])
            charges += took
            took, _ = walk(node, "/v1/charges", 1, phone=entry["phone"], **{"from": entry["created_at"]})
            charges += took
    print(f"{p99(statements):.1f} {p99(charges or [0.0]):.1f}")


main()
