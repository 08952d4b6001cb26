"""Etebar cannot sell twice under one key. How does a shop manage to sell twice, or for nothing, all
the same?

Two ways that look like good style: one transaction around everything, and a fresh key for each
attempt.
"""

import http.client
import sqlite3
import tempfile
import uuid

from bad_network import BadNetwork
from etebar_charge import Etebar
from example import PHONE, Seller, claim

ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY, key TEXT, phone TEXT, amount INTEGER)"


def all_in_one_transaction(shop: sqlite3.Connection, etebar: Etebar) -> None:
    """As under ATOMIC_REQUESTS: what comes after the charge fails, and the database forgets the
    whole order.
    """
    with shop:  # commits at the end, rolls back at an error
        key = str(uuid.uuid4())
        shop.execute("INSERT INTO orders (key, phone, amount) VALUES (?, ?, ?)", (key, PHONE, 5))
        etebar.charge(key, PHONE, 5)
        raise RuntimeError("the receipt's template has a mistake")


def a_new_key_each_time(etebar: Etebar) -> None:
    """As where the key is drawn in the function that is retried."""
    for _attempt in range(3):
        try:
            charge = {"phone": PHONE, "amount": "5"}
            status, _answer, _headers = etebar.send(
                "POST", "/v1/charges", charge, str(uuid.uuid4())
            )
            if status == 201:
                return
        except (OSError, http.client.HTTPException):
            pass  # no answer: try again


with tempfile.TemporaryDirectory() as folder:
    seller = Seller(1_000)
    shop = sqlite3.connect(f"{folder}/shop.db")
    shop.execute(ORDERS)
    try:
        all_in_one_transaction(shop, seller.api)
    except RuntimeError:
        pass
    orders, charged = shop.execute("SELECT count(*) FROM orders").fetchone()[0], seller.charged()
    shop.close()
print(f"all in one transaction: {orders} orders in the shop, {charged} charged")

other = Seller(1_000)
network = BadNetwork(other.servers[0], lost=2)
a_new_key_each_time(Etebar([network.url], other.key))
print(f"a new key each time: one order of 5, two answers lost, {other.charged()} charged")
claim(
    (orders, charged, other.charged()) == (0, 5, 15),
    "Sold and forgotten, and sold three times: both times the ledger did what it was asked.",
)
