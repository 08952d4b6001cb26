"""Does a lock help? In one process: yes. One till at a time is between check and debit."""

import threading
import time

CREDIT, PRICE, TILLS, SALES_EACH = 1_000, 5, 8, 80

balance = CREDIT
receipts: list[int] = []
lock = threading.Lock()


def database_trip() -> None:
    time.sleep(0.0002)


def sell(amount: int) -> None:
    global balance
    with lock:
        seen = balance
        database_trip()
        if seen >= amount:
            balance = seen - amount
            receipts.append(amount)


def till() -> None:
    for _ in range(SALES_EACH):
        sell(PRICE)


threads = [threading.Thread(target=till) for _ in range(TILLS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

sold, asked = sum(receipts), TILLS * SALES_EACH * PRICE
print(f"credit {CREDIT}, asked for {asked}, sold {sold}, balance {balance}")
if (sold, balance) != (CREDIT, 0):
    raise SystemExit("not shown: with a lock exactly the credit is sold")
