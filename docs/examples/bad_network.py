"""A network that does what a charge goes for, and loses the first answers on the way back."""

from __future__ import annotations

import socket
import threading

from example import plain


def read_request(caller: socket.socket) -> bytes:
    """One HTTP request, whole; nothing where the caller has gone."""
    text = b""
    while b"\r\n\r\n" not in text:
        text += (more := caller.recv(65_536))
        if not more:
            return b""
    head, body = text.split(b"\r\n\r\n", 1)
    lines = head.lower().split(b"\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += caller.recv(65_536)
    return head + b"\r\nConnection: close\r\n\r\n" + body


class BadNetwork:
    """Stands before a node: hands each request on, and closes the connection instead of the first
    `lost` answers.
    """

    def __init__(self, node: str, lost: int) -> None:
        self.node, self.lost = plain(node), lost
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            caller, _address = self.listener.accept()
            with caller:
                request = read_request(caller)
                if not request:
                    continue
                answer = self.ask(request)
                if self.lost > 0:
                    self.lost -= 1  # the node has done it; its answer is lost
                else:
                    caller.sendall(answer)

    def ask(self, request: bytes) -> bytes:
        answer = b""
        with socket.create_connection(self.node) as node:
            node.sendall(request)
            while more := node.recv(65_536):
                answer += more
        return answer
