"""Can threads of one process spend the same money twice? Check, then debit, with nothing in between
to stop others.

`database_trip` is what lies between the two in a real shop: the network, a template, another
thread's turn. There it is an accident of a few times a day; here all tills meet in it, so that the
accident happens each time and the sum is always the same.
"""

import threading

CREDIT, PRICE, TILLS, SALES_EACH = 1_000, 5, 8, 80

balance = CREDIT
receipts: list[int] = []
meeting = threading.Barrier(TILLS)


def database_trip() -> None:
    meeting.wait()


def sell(amount: int) -> None:
    global balance
    seen = balance  # SELECT balance …
    database_trip()
    if seen >= amount:
        balance = seen - amount  # UPDATE … SET balance = …
        receipts.append(amount)
    database_trip()


def till() -> None:
    for _ in range(SALES_EACH):
        sell(PRICE)


threads = [threading.Thread(target=till) for _ in range(TILLS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

sold = sum(receipts)
print(f"credit {CREDIT}, sold {sold}, balance {balance}: {sold + balance - CREDIT} given away")
if sold <= CREDIT:
    raise SystemExit("not shown: more was sold than there was")
