"""What does a fork do to a connection that is open? Two processes then share it, and one reads the
other's answer.

So it goes where a worker model forks after the module was imported (gunicorn --preload, Celery's
prefork, multiprocessing before Python 3.14), and the module opened a connection: to a database, a
cache, or here to a node of Etebar.
"""

import http.client
import json
import os
import uuid

from etebar_charge import Etebar
from example import PHONE, Seller, claim, plain


def ask(connection: http.client.HTTPConnection, key: str, amount: int) -> None:
    """Sends a charge and reads nothing."""
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": str(uuid.uuid4())}
    headers["Content-Type"] = "application/json"
    connection.request(
        "POST", "/v1/charges", json.dumps({"phone": PHONE, "amount": amount}), headers
    )


def answer_to_the_child(seller: Seller) -> str:
    """Parent and child charge over the one connection that was open before the fork; what the child
    gets.
    """
    connection = http.client.HTTPConnection(*plain(seller.servers[0]), timeout=10)
    connection.connect()
    has_asked, answer = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.read(has_asked[0], 1)  # the parent happens to be first
        ask(connection, seller.key, 7)
        os.write(answer[1], connection.getresponse().read())
        os._exit(0)
    ask(connection, seller.key, 5)
    os.write(has_asked[1], b"!")
    os.close(answer[1])  # else a child that failed would leave us waiting
    charge = json.loads(os.read(answer[0], 65_536))
    os.wait()
    return charge["amount"]


def answers_by_our_client(etebar: Etebar) -> "list[str]":
    """The same with `Etebar`, which knows in which process it made a connection."""
    etebar.charge(str(uuid.uuid4()), PHONE, 1)  # a connection is open
    answer = os.pipe()
    if os.fork() == 0:
        outcome = etebar.charge(str(uuid.uuid4()), PHONE, 7)
        os.write(answer[1], outcome.body["amount"].encode())
        os._exit(0)
    mine = etebar.charge(str(uuid.uuid4()), PHONE, 5).body["amount"]
    os.close(answer[1])
    childs = os.read(answer[0], 64).decode()
    os.wait()
    return [mine, childs]


seller = Seller(1_000)
wrong = answer_to_the_child(seller)
print(f"one connection: the child charged 7 and got {wrong}")
right = answers_by_our_client(seller.api)
print(
    f"a connection each: the parent charged 5 and got {right[0]}, the child 7 and {right[1]}"
)
claim(wrong == "5" and right == ["5", "7"], "A connection belongs to the process that opened it.")
