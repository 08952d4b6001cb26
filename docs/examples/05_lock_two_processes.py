"""The same lock, and a second process (a gunicorn worker, a Celery worker, another machine): who
holds the lock now?

Each process imports the module and makes a lock of its own. The balance is where both see it, as a
database would be; here it is a number in shared memory. The two meet between check and debit, so
that what may happen does happen.
"""

import multiprocessing
import threading

CREDIT, PRICE, PROCESSES, TILLS, SALES_EACH = 400, 5, 2, 4, 15

lock = threading.Lock()


def worker(balance, meeting, sold) -> None:
    """One process with its tills. `meeting` has a place for each process."""
    receipts: list[int] = []

    def till() -> None:
        for _ in range(SALES_EACH):
            with lock:  # no other till of this process is in here
                seen = balance.value
                meeting.wait()
                if seen >= PRICE:
                    balance.value = seen - PRICE
                    receipts.append(PRICE)
                meeting.wait()

    threads = [threading.Thread(target=till) for _ in range(TILLS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sold.put(sum(receipts))


if __name__ == "__main__":
    system = multiprocessing.get_context("spawn")
    balance = system.Value("q", CREDIT, lock=False)
    meeting, sold = system.Barrier(PROCESSES), system.SimpleQueue()
    workers = [
        system.Process(target=worker, args=(balance, meeting, sold)) for _ in range(PROCESSES)
    ]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    total = sum(sold.get() for _ in workers)
    given_away = total + balance.value - CREDIT
    print(f"credit {CREDIT}, sold {total}, balance {balance.value}: {given_away} given away")
    if total <= CREDIT:
        raise SystemExit("not shown: two processes with a lock each sell more than there is")
