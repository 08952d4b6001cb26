"""The shop of shop.py on its worst day: answers are lost, a process dies between the charge and its
record, no node is there.

At the end every order is settled, and what the shop has sold is what Etebar has charged, to the
last Toman.
"""

import multiprocessing
import os
import tempfile

from bad_network import BadNetwork
from etebar_charge import Etebar
from example import PHONE, Seller, claim
from shop import Shop


class DyingShop(Shop):
    """Gone before it can save an answer: by SIGKILL, a power cut, or for want of memory."""

    def record(self, order: int, verdict: str, charge: "str | None") -> None:
        os._exit(9)


def sell_and_die(database: str, servers: "list[str]", key: str) -> None:
    """What a process of its own does."""
    DyingShop(database, Etebar(servers, key)).sell(PHONE, 20)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        seller, database = Seller(100), f"{folder}/shop.db"
        shop = Shop(database, seller.api)

        network = BadNetwork(seller.servers[0], lost=2)
        order, state = Shop(database, Etebar([network.url], seller.key)).sell(PHONE, 10)
        print(f"two answers lost: order {order} is {state}, charged {seller.charged()}")

        system = multiprocessing.get_context("spawn")
        arguments = (database, seller.servers, seller.key)
        process = system.Process(target=sell_and_die, args=arguments)
        process.start()
        process.join()
        died, state = process.exitcode, shop.state(2)
        print(f"the process died (exit {died}): order 2 is {state}, charged {seller.charged()}")

        nowhere = Etebar(["http://127.0.0.1:9"], seller.key)
        order, state = Shop(database, nowhere, seconds=0.3).sell(PHONE, 30)
        print(f"no node was there: order {order} is {state}, charged {seller.charged()}")

        stranger = Shop(database, Etebar(seller.servers, "no-such-key"))
        states = ", ".join(stranger.retry_pending(older_than=0))
        print(f"the sweeper under a wrong API key: {states}, charged {seller.charged()}")

        states = ", ".join(shop.retry_pending(older_than=0))
        print(f"the sweeper: {states}; charged {seller.charged()}")
        order, state = shop.sell(PHONE, 50)
        print(f"50 of the 40 that are left: order {order} is {state}, charged {seller.charged()}")
        sold, charged = shop.sold(), seller.charged()
        pending = shop.retry_pending(older_than=0)
        claim(
            sold == charged == 60 and pending == [],
            f"The shop has sold {sold}, Etebar has charged {charged}.",
        )
