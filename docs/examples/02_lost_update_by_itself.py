"""Does it need an arrangement? The same race with nothing that makes threads meet: how many debits
are lost by chance.

Between check and debit stands what the line says. The GIL lets one thread run at a time, but it may
be given to another thread at any call, at the end of any round of a loop, and always where a thread
waits for something outside.
"""

import threading
import time
from typing import Callable

from example import claim, keep

TILLS = 8


def nothing() -> None:
    pass


def some_python() -> None:
    sum(digit * digit for digit in range(100))


def the_network() -> None:
    time.sleep(0.0002)


class Shop:
    """A balance that starts high enough for every sale, and tills that debit it by 1."""

    def __init__(self, between: Callable[[], None], sales_each: int) -> None:
        self.between, self.sales_each = between, sales_each
        self.balance = self.credit = TILLS * sales_each

    def sell(self) -> None:
        seen = self.balance
        self.between()
        if seen >= 1:
            self.balance = seen - 1

    def till(self) -> None:
        for _ in range(self.sales_each):
            self.sell()

    def lost_debits(self) -> int:
        """Runs all tills; how many sales left no trace in the balance."""
        threads = [threading.Thread(target=self.till) for _ in range(TILLS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.balance


if __name__ == "__main__":
    rows = []
    for between, sales_each in ((nothing, 50_000), (some_python, 2_500), (the_network, 250)):
        lost, sales = Shop(between, sales_each).lost_debits(), TILLS * sales_each
        name = between.__name__.replace("_", " ").replace("python", "Python")
        rows.append((name, sales, lost, f"{100 * lost / sales:.1f} %"))
        print(f"{name:12} between check and debit: {lost} of {sales} debits lost")
    keep("by_itself", ("between check and debit", "sales", "debits lost", "share"), rows)
    claim(lost > 0, "Where a thread waits between check and debit, others sell what it has seen.")
