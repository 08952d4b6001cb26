"""A caller of the API over TLS that shares no code with it: `versions PORT CA` and `follow PORT CA`."""

import socket
import ssl
import sys
import time

what, port, authority = sys.argv[1], int(sys.argv[2]), sys.argv[3]
LIMIT = time.monotonic() + 60


def connected(lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.TLSv1_3):
    context = ssl.create_default_context(cafile=authority)
    context.minimum_version, context.maximum_version = lowest, highest
    if highest < ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2", "http/1.1"])
    tcp = socket.create_connection(("127.0.0.1", port), 10)
    return context.wrap_socket(tcp, server_hostname="127.0.0.1")


def asked(stream):
    stream.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = stream.recv(4096)
        if not piece:
            raise EOFError("closed before the answer")
        answer += piece
    return answer.split(b" OK")[0].decode()


def versions():
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with connected(version, version) as stream:
            print(stream.version(), stream.selected_alpn_protocol(), asked(stream))
    try:
        with connected(ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1) as stream:
            print("TLSv1.1 accepted", stream.version())
    except ssl.SSLError as error:
        offered = "ALERT" in (error.reason or "")
        print("TLSv1.1", error.reason if offered else "not offered by this OpenSSL: %s" % error.reason)


def follow():
    seen, more, count = None, 100, 0
    with connected() as first:
        while more and time.monotonic() < LIMIT:
            with connected() as stream:
                asked(stream)
                serial = stream.getpeercert()["serialNumber"]
            asked(first)  # a connection that is open stays
            count += 1
            if serial != seen:
                print(serial, flush=True)
                changed, seen = seen is not None, serial
            more -= changed
    print("done, %d connections" % count, flush=True)


versions() if what == "versions" else follow()
