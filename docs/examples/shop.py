"""A shop that cannot lose a sale or sell twice: its orders in SQLite, its charges through Etebar.

Three steps, and the process may die between any two: (1) the order with its key is saved,
committed; (2) Etebar is called, and no transaction is open; (3) the answer is saved. What is still
`pending` later is sent again, under the key it has.
"""

from __future__ import annotations

import sqlite3
import time
import uuid

from etebar_charge import Etebar

SCHEMA = """CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    phone TEXT NOT NULL,
    amount INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sold', 'refused', 'invalid')),
    charge TEXT,
    taken_at REAL NOT NULL)"""


class Shop:
    """The orders of a shop. One object a thread, as with any SQLite connection; any number of
    processes.
    """

    def __init__(self, database: str, etebar: Etebar, seconds: float = 10.0) -> None:
        self.orders = sqlite3.connect(
            database, timeout=30, isolation_level=None
        )  # each statement commits
        self.orders.execute(SCHEMA)
        self.etebar, self.seconds = etebar, seconds

    def sell(self, phone: str, amount: int) -> tuple[int, str]:
        """What a view does: the order and its state, which may be `pending`."""
        order = self.take_order(phone, amount)
        return order, self.settle(order, sent_before=False)

    def take_order(self, phone: str, amount: int) -> int:
        """Step 1: from here on the order exists, whatever becomes of this process."""
        row = (str(uuid.uuid4()), phone, amount, time.time())
        insert = "INSERT INTO orders (key, phone, amount, taken_at) VALUES (?, ?, ?, ?)"
        return int(self.orders.execute(insert, row).lastrowid or 0)

    def settle(self, order: int, sent_before: bool = True) -> str:
        """Steps 2 and 3. May be called twice, even at once: the key makes it one charge."""
        select = "SELECT key, phone, amount FROM orders WHERE id = ? AND state = 'pending'"
        row = self.orders.execute(select, (order,)).fetchone()
        if row is not None:
            key, phone, amount = row
            outcome = self.etebar.charge(key, phone, amount, self.seconds, sent_before)
            if outcome.verdict in ("sold", "refused", "invalid"):
                self.record(order, outcome.verdict, outcome.body.get("id"))
        return self.state(order)

    def record(self, order: int, verdict: str, charge: str | None) -> None:
        update = "UPDATE orders SET state = ?, charge = ? WHERE id = ? AND state = 'pending'"
        self.orders.execute(update, (verdict, charge, order))

    def retry_pending(self, older_than: float = 30.0) -> list[str]:
        """What a timer does each minute: sends again what is pending, as long as its key is surely
        remembered. The states of what was pending.
        """
        safe_age = self.safe_age() or 0.0
        select = "SELECT id, taken_at FROM orders WHERE state = 'pending' AND taken_at <= ?"
        pending = self.orders.execute(select, (time.time() - older_than,)).fetchall()
        states = []
        for order, taken_at in pending:
            is_safe = time.time() - taken_at < safe_age
            states.append(self.settle(order) if is_safe else "pending")
        return states

    def overdue(self) -> list[int]:
        """Pending for so long that the key may be forgotten: never sent again; somebody looks into
        the journal.
        """
        safe_age = self.safe_age()
        if safe_age is None:
            return []
        select = "SELECT id FROM orders WHERE state = 'pending' AND taken_at < ?"
        return [order for (order,) in self.orders.execute(select, (time.time() - safe_age,))]

    def safe_age(self) -> float | None:
        """Seconds for which an order may be sent again: half of the time for which the cluster
        remembers its key, since a call may take the other half. Nothing where no node tells.
        """
        window = self.etebar.key_window()
        return None if window is None else window / 2

    def state(self, order: int) -> str:
        return self.orders.execute("SELECT state FROM orders WHERE id = ?", (order,)).fetchone()[0]

    def sold(self) -> int:
        """The sum of all orders that were sold."""
        total = "SELECT coalesce(sum(amount), 0) FROM orders WHERE state = 'sold'"
        return self.orders.execute(total).fetchone()[0]
