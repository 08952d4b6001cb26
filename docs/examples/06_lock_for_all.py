"""Which locks hold across processes, and what do they cost? The balance is in a database (SQLite);
two processes sell from it.

Each way ends with exactly the credit sold. The price is that tills wait for each other, all the
longer the more is done under the lock: here a trip of one millisecond, as to a database elsewhere.
The last way needs no trip between check and debit.
"""

import fcntl
import multiprocessing
import sqlite3
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from example import claim, keep, keeps

CREDIT, PRICE, PROCESSES, TILLS, SALES_EACH = 400, 5, 2, 4, 20


def check_then_debit(shop: sqlite3.Connection) -> bool:
    """Sells once if the balance suffices. Whoever calls it has seen to it that nobody else does
    meanwhile.
    """
    (seen,) = shop.execute("SELECT balance FROM seller").fetchone()
    time.sleep(0.001)
    if seen < PRICE:
        return False
    shop.execute("UPDATE seller SET balance = ?", (seen - PRICE,))
    return True


def multiprocessing_lock(shop: sqlite3.Connection, folder: Path, lock) -> bool:
    with lock:  # for processes that one parent has started
        return check_then_debit(shop)


def file_lock(shop: sqlite3.Connection, folder: Path, lock) -> bool:
    with open(folder / "lock", "w") as file:  # for all processes of one machine
        fcntl.flock(file, fcntl.LOCK_EX)
        return check_then_debit(shop)


def database_lock(shop: sqlite3.Connection, folder: Path, lock) -> bool:
    with transaction(
        shop
    ):  # for everyone: PostgreSQL would say SELECT … FOR UPDATE, Django select_for_update()
        return check_then_debit(shop)


def one_statement(shop: sqlite3.Connection, folder: Path, lock) -> bool:
    time.sleep(0.001)  # the trip is outside: check and debit are one thing for the database
    debit = "UPDATE seller SET balance = balance - ? WHERE balance >= ?"
    return shop.execute(debit, (PRICE, PRICE)).rowcount == 1


@contextmanager
def transaction(shop: sqlite3.Connection):
    shop.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        shop.execute("COMMIT")


def open_shop(folder: Path) -> sqlite3.Connection:
    shop = sqlite3.connect(folder / "shop.db", timeout=60, isolation_level=None)
    shop.execute(
        "PRAGMA synchronous = NORMAL"
    )  # no sync at each commit: the disk would hide what the locks cost
    return shop


def worker(way: str, folder: Path, lock, meeting, sold) -> None:
    """One process with its tills; puts how many sales it made."""
    made: list[bool] = []

    def till() -> None:
        shop = open_shop(folder)
        for _ in range(SALES_EACH):
            made.append(globals()[way](shop, folder, lock))
        shop.close()

    threads = [threading.Thread(target=till) for _ in range(TILLS)]
    meeting.wait()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sold.put(sum(made))


def run(way: str, credit: int, processes: int) -> "tuple[int, int, float]":
    """What was sold, what is left, and how many tries there were a second."""
    system = multiprocessing.get_context("spawn")
    lock, meeting, sold = system.Lock(), system.Barrier(processes + 1), system.SimpleQueue()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shop = open_shop(folder)
        shop.execute("PRAGMA journal_mode = WAL")
        shop.execute("CREATE TABLE seller AS SELECT ? AS balance", (credit,))
        arguments = (way, folder, lock, meeting, sold)
        workers = [system.Process(target=worker, args=arguments) for _ in range(processes)]
        for process in workers:
            process.start()
        meeting.wait()
        began = time.monotonic()
        total = PRICE * sum(sold.get() for _ in workers)
        seconds = time.monotonic() - began
        for process in workers:
            process.join()
        (balance,) = shop.execute("SELECT balance FROM seller").fetchone()
        shop.close()
    return total, balance, processes * TILLS * SALES_EACH / seconds


def price(way: str, processes: int) -> str:
    """Sales a second where none is refused."""
    return f"{run(way, 1_000_000, processes)[2]:.0f}"


if __name__ == "__main__":
    ways = ("multiprocessing_lock", "file_lock", "database_lock", "one_statement")
    exact = True
    for way in ways:
        total, balance, _rate = run(way, CREDIT, PROCESSES)
        exact &= (total, balance) == (CREDIT, 0)
        print(f"{way:20} credit {CREDIT}, sold {total}, balance {balance}")
    if keeps():
        rows = [(way.replace("_", " "), price(way, 1), price(way, PROCESSES)) for way in ways]
        keep(
            "locks", ("way", "sales a second: 1 process of 4 tills", "2 processes of 4 tills"), rows
        )
    claim(exact, "Exactly the credit, each way.")
