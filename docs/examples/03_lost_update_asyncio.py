"""asyncio has one thread. Is check-then-debit safe there? Only as long as no `await` stands between
the two.
"""

import asyncio

CREDIT, PRICE, TILLS, SALES_EACH = 1_000, 5, 8, 80


class Shop:
    def __init__(self) -> None:
        self.balance, self.sold = CREDIT, 0

    async def sell_with_await(self) -> None:
        seen = self.balance
        await asyncio.sleep(0)  # any await: the database, the cache, a log line over the network
        if seen >= PRICE:
            self.balance = seen - PRICE
            self.sold += PRICE

    async def sell_without(self) -> None:
        await asyncio.sleep(0)
        seen = self.balance
        if seen >= PRICE:
            self.balance = seen - PRICE
            self.sold += PRICE


async def run(name: str) -> Shop:
    shop = Shop()
    sell = getattr(shop, name)

    async def till() -> None:
        for _ in range(SALES_EACH):
            await sell()

    await asyncio.gather(*(till() for _ in range(TILLS)))
    print(f"{name:15} credit {CREDIT}, sold {shop.sold}, balance {shop.balance}")
    return shop


wrong = asyncio.run(run("sell_with_await"))
right = asyncio.run(run("sell_without"))
if wrong.sold <= CREDIT or (right.sold, right.balance) != (CREDIT, 0):
    raise SystemExit("not shown: with an await in between too much is sold, without exactly enough")
