"""The same storm against a running cluster: two processes of eight tills ask for twice what the
seller has.

There is no lock here, and no check: the shop asks, and the ledger decides, each charge in its place
in one order. Every charge is sent twice, over whichever node, as an impatient client would; the
second time under the same key.
"""

import multiprocessing
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from etebar_charge import Etebar
from example import PHONE, Seller, claim

CREDIT, PRICE, PROCESSES, TILLS, SALES_EACH = 1_000, 5, 2, 8, 25


def worker(servers: "list[str]", key: str) -> Counter:
    """One process: what its tills were answered."""
    etebar = Etebar(servers, key)

    def till(_number: int) -> Counter:
        answers: Counter = Counter()
        for _ in range(SALES_EACH):
            order = str(uuid.uuid4())
            first = etebar.charge(order, PHONE, PRICE, seconds=30)
            etebar.next_node()
            second = etebar.charge(order, PHONE, PRICE, seconds=30)
            answers[first.verdict] += 1
            answers["answered twice the same"] += (first.verdict, first.body) == (
                second.verdict,
                second.body,
            )
        return answers

    with ThreadPoolExecutor(TILLS) as tills:
        return sum(tills.map(till, range(TILLS)), Counter())


if __name__ == "__main__":
    seller = Seller(CREDIT)
    system = multiprocessing.get_context("spawn")
    with system.Pool(PROCESSES) as processes:
        calls = [(seller.servers, seller.key)] * PROCESSES
        answers = sum(processes.starmap(worker, calls, chunksize=1), Counter())
    books = seller.books()
    for what in ("sold", "refused", "answered twice the same"):
        print(f"{what}: {answers[what]}")
    credit, charged, balance = books["credits"], -books["charges"], books["balance"]
    print(f"the books: credit {credit}, charged {charged}, balance {balance}")
    exact = answers["sold"] * PRICE == charged == credit == CREDIT and balance == 0
    claim(
        exact and answers["answered twice the same"] == PROCESSES * TILLS * SALES_EACH,
        "Exactly the credit was sold, and each charge that was sent twice was made once.",
    )
