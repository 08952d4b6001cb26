#!/usr/bin/env python3
"""Recomputes both chains of digests from a backup, as docs/format.md describes it.

    etebar-node backup --data-dir DIR > ledger.backup
    python3 docs/examples/pages.py ledger.backup

It shares no code with Etebar and needs nothing but Python 3.8: that it comes to the same digests shows that the document
says enough. It prints one line of JSON, and ends with 1 where the file is no backup, is cut or altered, or a digest differs. An
increment gives the chain over records alone, since an entry names its actor, and the names are in
earlier pages. Slow, on purpose: BLAKE3 is written out below (the package `blake3` is taken where it is installed).
"""

import json
import struct
import sys

PAGE_RECORDS = 64
ZERO = bytes(32)


class Wrong(Exception):
    """The bytes are not what the document says."""


# --- BLAKE3, after its reference implementation --------------------------------------------------------------------

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
LANES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
MASK = 0xFFFFFFFF


def compress(chaining, words, counter, length, flags):
    v = [*chaining, *IV[:4], counter & MASK, counter >> 32, length, flags]
    for _ in range(7):
        for lane, (a, b, c, d) in enumerate(LANES):
            for word, first, second in ((words[2 * lane], 16, 12), (words[2 * lane + 1], 8, 7)):
                v[a] = (v[a] + v[b] + word) & MASK
                x = v[d] ^ v[a]
                v[d] = (x >> first | x << (32 - first)) & MASK
                v[c] = (v[c] + v[d]) & MASK
                x = v[b] ^ v[c]
                v[b] = (x >> second | x << (32 - second)) & MASK
        words = [words[place] for place in PERMUTATION]
    return [v[i] ^ v[i + 8] for i in range(8)]


def chunk(data, counter, root):
    chaining = IV
    blocks = [data[at : at + 64] for at in range(0, len(data), 64)] or [b""]
    for at, block in enumerate(blocks):
        flags = (CHUNK_START if at == 0 else 0) | (CHUNK_END | root if at == len(blocks) - 1 else 0)
        chaining = compress(chaining, struct.unpack("<16I", block.ljust(64, b"\0")), counter, len(block), flags)
    return chaining


def tree(data, counter, root):
    if len(data) <= 1024:
        return chunk(data, counter, root)
    left = 1024
    while left * 2 < len(data):
        left *= 2
    words = tree(data[:left], counter, 0) + tree(data[left:], counter + left // 1024, 0)
    return compress(IV, words, 0, 64, PARENT | root)


try:
    from blake3 import blake3 as _blake3

    def blake3(data):
        return _blake3(data).digest()
except ImportError:

    def blake3(data):
        return struct.pack("<8I", *tree(data, 0, ROOT))


# --- The values of a record: how each is read from the disk, and how a digest covers it -----------------------------


class Bytes:
    """Bytes that are read from front to back."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        taken = self.data[self.at : self.at + count]
        if len(taken) != count:
            raise Wrong(f"{count} bytes were due at {self.at} of {len(self.data)}")
        self.at += count
        return taken

    def be(self, count):
        return int.from_bytes(self.take(count), "big")

    def varint(self):
        first = self.take(1)[0]
        if first < 251:
            return first
        if first > 254:
            raise Wrong(f"a number begins with {first}")
        return int.from_bytes(self.take(2 << (first - 251)), "little")

    def signed(self):
        number = self.varint()
        return number >> 1 if number % 2 == 0 else -(number >> 1) - 1

    def text(self):
        return self.take(self.varint()).decode()

    def option(self):
        return self.text() if self.take(1)[0] else None

    def optional_number(self):
        return self.varint() if self.take(1)[0] else None

    def optional(self, *reads):
        return [read() for read in reads] if self.take(1)[0] else None

    def uuid(self):
        if self.varint() != 16:
            raise Wrong("a UUID has 16 bytes")
        return self.take(16)

    def is_over(self):
        return self.at == len(self.data)


def u64(number):
    return struct.pack(">Q", number)


def covered_text(text):
    encoded = (text or "").encode()
    return struct.pack(">I", len(encoded)) + encoded


def variants(*kinds):
    """An enum: its position on the disk, the next byte in a digest."""

    def read(data):
        at = data.varint()
        if at >= len(kinds):
            raise Wrong(f"there is no variant {at} of {[kind[0] for kind in kinds]}")
        name, fields = kinds[at]
        return at, name, read_fields(fields, data)

    def cover(value):
        at, _, fields = value
        return bytes([at + 1]) + cover_fields(kinds[at][1], fields)

    return read, cover


def read_fields(fields, data):
    return {name: kind[0](data) for name, kind in fields}


def cover_fields(fields, values):
    return b"".join(kind[1](values[name]) for name, kind in fields)


NUMBER = (Bytes.varint, u64)
SIGNED = (Bytes.signed, lambda number: struct.pack(">q", number))
BYTE = (lambda data: data.take(1)[0], lambda number: bytes([number]))
TEXT = (Bytes.text, covered_text)
OPTION = (Bytes.option, covered_text)
UUID = (Bytes.uuid, bytes)
HASH = (lambda data: data.take(32), bytes)
DIGEST = HASH
STATUS = variants(("active", []), ("suspended", []))
VERDICT = variants(("approved", []), ("rejected", []))
# What may be absent, and has a number for that in a digest.
LIMIT = (Bytes.optional_number, lambda limit: u64(limit or 0))
END = (Bytes.optional_number, lambda end: u64((1 << 64) - 1 if end is None else end))
GRANT = variants(
    ("admin", []),
    ("auditor", []),
    ("seller", [("seller", NUMBER)]),
    ("approver", [("limit", LIMIT)]),
    ("operator", []),
)
REFUSAL = variants(
    ("insufficient_credit", [("balance", NUMBER)]),
    ("seller_suspended", []),
    ("request_decided", [("verdict", VERDICT)]),
    ("charge_reversed", []),
    ("limit_exceeded", []),
    ("name_taken", []),
    ("last_admin_key", []),
    ("address_taken", []),
)


def fields(text):
    """`seller:NUMBER reason:TEXT` as the fields of a struct, in order."""
    return [(name, globals()[kind]) for name, kind in (field.split(":") for field in text.split())]


def optional(kind):
    """What may be absent."""
    return (
        lambda data: kind[0](data) if data.take(1)[0] else None,
        lambda value: b"\0" if value is None else b"\1" + kind[1](value),
    )


NAMED_HASH = fields("name:TEXT hash:HASH")
NEW_KEY = optional((lambda data: read_fields(NAMED_HASH, data), lambda values: cover_fields(NAMED_HASH, values)))
OPTIONAL_HASH = optional(HASH)
GENESIS = fields(
    "ledger:UUID epoch:NUMBER currency:TEXT decimals:BYTE key_window_ms:NUMBER keys_max:NUMBER rules:NUMBER admin_key:HASH"
)
SHOWN = fields("number:NUMBER seller:NUMBER amount:NUMBER note:TEXT created_at:NUMBER reference:OPTION")
REQUEST = (lambda data: read_fields(SHOWN, data), lambda values: cover_fields(SHOWN, values))
ACTION = variants(
    ("genesis", GENESIS),
    ("create_seller", fields("name:TEXT")),
    ("set_seller_status", fields("seller:NUMBER status:STATUS")),
    ("create_key", fields("name:TEXT grant:GRANT hash:HASH")),
    ("revoke_key", fields("key:NUMBER")),
    ("request_credit", fields("amount:NUMBER note:TEXT reference:OPTION")),
    ("decide_credit", fields("request:NUMBER verdict:VERDICT reason:TEXT")),
    ("adjust", fields("seller:NUMBER amount:SIGNED reason:TEXT")),
    ("charge", fields("phone:NUMBER amount:NUMBER reference:OPTION")),
    ("reverse", fields("charge:NUMBER reason:TEXT")),
    ("register_node", fields("node:NUMBER incarnation:UUID")),
    ("raise_rules", fields("to:NUMBER")),
    ("add_node", fields("above:NUMBER api:TEXT peer:TEXT")),
    ("promote_node", fields("node:NUMBER")),
    ("remove_node", fields("node:NUMBER")),
    ("begin_epoch", fields("epoch:NUMBER cluster:UUID rules:NUMBER admin_key:OPTIONAL_HASH")),
    ("open_ledger", fields("epoch:NUMBER")),
    ("note_backup", fields("records:NUMBER digest:DIGEST")),
    ("create_expiring_key", fields("name:TEXT grant:GRANT hash:HASH expires_at:NUMBER")),
    ("rotate_key", fields("key:NUMBER hash:HASH overlap_ms:NUMBER expires_at:END")),
    ("request_credit_for", fields("seller:NUMBER amount:NUMBER note:TEXT reference:OPTION")),
    ("set_policy", fields("four_eyes:BYTE")),
)
EVENT = variants(
    ("genesis", GENESIS),
    ("seller_created", fields("name:TEXT")),
    ("seller_status_set", fields("seller:NUMBER status:STATUS name:TEXT balance:NUMBER created_at:NUMBER")),
    ("key_created", fields("name:TEXT grant:GRANT hash:HASH")),
    ("key_revoked", fields("key:NUMBER")),
    ("credit_requested", fields("seller:NUMBER amount:NUMBER note:TEXT reference:OPTION")),
    ("credit_approved", fields("request:REQUEST reason:TEXT entry:NUMBER balance:NUMBER")),
    ("credit_rejected", fields("request:REQUEST reason:TEXT")),
    ("adjusted", fields("seller:NUMBER amount:SIGNED reason:TEXT entry:NUMBER balance:NUMBER")),
    (
        "charged",
        fields(
            "seller:NUMBER phone:NUMBER amount:NUMBER entry:NUMBER balance:NUMBER reference:OPTION "
            "phone_charge:NUMBER previous:NUMBER"
        ),
    ),
    (
        "reversed",
        fields("charge:NUMBER seller:NUMBER phone:NUMBER amount:NUMBER reason:TEXT entry:NUMBER balance:NUMBER"),
    ),
    ("refused", fields("action:ACTION refusal:REFUSAL")),
    ("node_registered", fields("node:NUMBER incarnation:UUID")),
    ("rules_raised", fields("to:NUMBER")),
    ("node_added", fields("node:NUMBER api:TEXT peer:TEXT")),
    ("node_promoted", fields("node:NUMBER")),
    ("node_removed", fields("node:NUMBER")),
    ("epoch_begun", fields("epoch:NUMBER cluster:UUID rules:NUMBER admin_key:NEW_KEY")),
    ("ledger_opened", fields("epoch:NUMBER")),
    ("backup_noted", fields("records:NUMBER digest:DIGEST")),
    ("expiring_key_created", fields("name:TEXT grant:GRANT hash:HASH expires_at:NUMBER")),
    (
        "key_rotated",
        fields(
            "old:NUMBER old_expires_at:NUMBER overlap_ms:NUMBER name:TEXT grant:GRANT hash:HASH expires_at:END"
        ),
    ),
    ("credit_requested_for", fields("seller:NUMBER amount:NUMBER note:TEXT reference:OPTION")),
    ("policy_set", fields("four_eyes:BYTE")),
)


def read_marks(data):
    """The idempotency key, and where the command came from: each may be absent."""
    which = data.varint()
    if which > 3:
        raise Wrong(f"there is no variant {which} of a key and an origin")
    key = data.text() if which in (1, 3) else None
    if which < 2:
        return key, None
    node, is_v6 = data.varint(), data.varint()
    return key, (node, data.take(16) if is_v6 else bytes(10) + b"\xff\xff" + data.take(4))


def cover_marks(marks):
    key, origin = marks
    return covered_text(key) + (b"" if origin is None else b"\xff" + u64(origin[0]) + origin[1])


MARKS = (read_marks, cover_marks)
RECORD = fields("number:NUMBER time:NUMBER actor:NUMBER marks:MARKS event:EVENT")
RECORD_VERSION, PAGE_VERSION, SEAL_VERSION = 2, 2, 2


# --- Entries --------------------------------------------------------------------------------------------------------

SELLER, REQUEST_ID, CHARGE, ADJUSTMENT = 1, 3, 4, 5
KINDS = {"credit_approved": 1, "adjusted": 2, "charged": 3, "reversed": 4}


def mix(value):
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % (1 << 64)
    value = (value ^ value >> 27) * 0x94D049BB133111EB % (1 << 64)
    return value ^ value >> 31


def salt_of(ledger, epoch):
    high, low = struct.unpack(">2Q", ledger)
    return mix(high ^ mix(low ^ mix(epoch)))


def uuid_of(salts, kind, number):
    """The id of the thing of this kind that a record made, in the epoch of that record."""
    salt = next(salt for first, salt in reversed(salts) if number >= first)
    tag = mix(salt ^ number ^ kind << 56)
    return struct.pack(">2Q", number << 16 | 0x8000 | kind << 8 | tag >> 56, 0b10 << 62 | tag & (1 << 62) - 1)


def entry_bytes(salts, names, record):
    """What the published chain covers of the entry that a record made; None where it moved no money."""
    _, name, event = record["event"]
    if name not in KINDS:
        return None
    asked = event.get("request", event)
    amount = {"charged": -asked["amount"]}.get(name, asked["amount"])
    phone = event.get("phone", 0)
    reference = {
        "credit_approved": lambda: (REQUEST_ID, asked["number"]),
        "adjusted": lambda: (ADJUSTMENT, record["number"]),
        "charged": lambda: (CHARGE, record["number"]),
        "reversed": lambda: (CHARGE, event["charge"]),
    }[name]()
    seller = uuid_of(salts, SELLER, asked["seller"])
    own, other = b"\1" + seller, b"\2" + u64(phone) if phone else b"\0"
    debit, credit = (own, other) if amount < 0 else (other, own)
    return b"".join(
        [
            u64(event["entry"]),
            u64(record["number"]),
            u64(record["time"]),
            bytes([KINDS[name]]),
            seller,
            struct.pack(">2q", amount, event["balance"]),
            debit,
            credit,
            uuid_of(salts, *reference),
            u64(phone),
            covered_text(names[record["actor"]]),
            covered_text(asked.get("reference")),
        ]
    )


# --- Pages ----------------------------------------------------------------------------------------------------------


class Books:
    """Both chains and the counts, as far as they were read."""

    def __init__(self):
        self.records = self.entries = self.keyed = 0
        self.record_digest = self.entry_digest = ZERO
        self.ledger, self.names, self.is_whole = bytes(16), {0: "etebar"}, True

    def read(self, data):
        """Takes the next page."""
        header = Bytes(data)
        if header.take(1)[0] != PAGE_VERSION:
            raise Wrong("the page has another version")
        ledger, first, time = header.take(16), header.be(8), header.be(8)
        before = (header.be(8), header.be(8), header.take(32), header.take(32))
        if self.records == 0 and first != 1:
            self.is_whole, self.records = False, first - 1
            self.entries, self.keyed, self.record_digest, self.entry_digest = before
        if first != self.records + 1 or (first - 1) % PAGE_RECORDS:
            raise Wrong(f"a page begins with record {first}")
        own = (self.entries, self.keyed, self.record_digest, self.entry_digest)
        if before != own and (self.is_whole or before[:3] != own[:3]):
            raise Wrong(f"the header of the page that begins with record {first} does not follow from the pages before")
        if not self.is_whole:
            self.entry_digest = before[3]
        records, entries, at = [], [], time
        while not header.is_over():
            record = self.record(header.take(header.be(4)), at)
            records.append(cover_fields(RECORD, record))
            at, entry = record["time"], self.entry(ledger, record)
            entries += [] if entry is None else [entry]
        self.ledger = ledger
        block = lambda domain, digest, items: blake3(bytes([domain]) + ledger + digest + b"".join(items))
        self.record_digest = block(1, self.record_digest, records)
        self.entry_digest = block(2, self.entry_digest, entries) if entries else self.entry_digest

    def record(self, data, earliest):
        encoded = Bytes(data)
        if encoded.take(1)[0] != RECORD_VERSION:
            raise Wrong("the record has another version")
        record = read_fields(RECORD, encoded)
        if not encoded.is_over() or record["number"] != self.records + 1 or record["time"] < earliest:
            raise Wrong(f"record {self.records + 1} is not the next one")
        self.records += 1
        self.keyed += record["marks"][0] is not None
        return record

    def entry(self, ledger, record):
        _, name, event = record["event"]
        if name == "genesis":
            self.names[record["number"]] = "admin"
            if event["ledger"] != ledger:
                raise Wrong("the header names another ledger than the genesis")
            self.salts = [(0, salt_of(ledger, event["epoch"]))]
        elif name == "epoch_begun":
            self.salts.append((record["number"], salt_of(ledger, event["epoch"])))
            if event["admin_key"] is not None:
                self.names[record["number"]] = event["admin_key"]["name"]
        elif name == "key_created":
            self.names[record["number"]] = event["name"]
        if name in KINDS:
            self.entries += 1
            if event["entry"] != self.entries:
                raise Wrong(f"entry {event['entry']} stands where entry {self.entries} was due")
        return entry_bytes(self.salts, self.names, record) if self.is_whole else None


def unseal(file, key, kind):
    """The next frame, which is sealed under `key` and of that kind."""
    sealed = Bytes(file.take(file.be(4)))
    version, checksum = sealed.take(1), sealed.take(8)
    body = sealed.data[sealed.at :]
    if version[0] != SEAL_VERSION or blake3(version + bytes([len(key)]) + key + body)[:8] != checksum:
        raise Wrong(f"the frame before byte {file.at} is altered")
    if body[:1] != bytes([kind]):
        raise Wrong(f"the frame before byte {file.at} is of another kind")
    return Bytes(body[1:])


def read_head(data):
    head = {"ledger": data.uuid(), "cluster": data.uuid(), "epoch": data.varint(), "rules": data.varint()}
    head["position"] = data.optional(data.varint, data.varint, data.varint)
    head["first_page"], head["records"], head["entries"] = data.varint(), data.varint(), data.varint()
    head["digest"], head["entry_digest"] = data.take(32), data.take(32)
    head["sums"] = data.optional(data.signed, data.signed, data.signed)
    head["continues"] = data.optional(data.varint, lambda: data.take(32))
    head["made_at"] = data.varint()
    if not data.is_over():
        raise Wrong("the head is longer than it should be")
    return head


def read_file(file):
    if file.take(8) != b"etbbckup" or file.be(4) != 1:
        raise Wrong("this is no backup, or one of another version")
    head, books, pages, length = read_head(unseal(file, b"head", 0)), Books(), 0, 0
    after = (head["records"] + PAGE_RECORDS - 1) // PAGE_RECORDS
    for number in range(head["first_page"], after):
        page = unseal(file, u64(number), 1)
        if page.be(8) != number:
            raise Wrong(f"a page has another number than {number}")
        books.read(page.data[page.at :])
        pages, length = pages + 1, length + len(page.data) - page.at
    end = unseal(file, b"end", 2)
    if (end.be(8), end.be(8), end.take(32)) != (pages, length, head["digest"]) or not end.is_over() or not file.is_over():
        raise Wrong("the end does not fit what is before it")
    if pages and (books.ledger, books.records, books.record_digest) != (head["ledger"], head["records"], head["digest"]):
        raise Wrong(f"the head has {head['records']} records with the digest {head['digest'].hex()}; read were {books.records}")
    if pages and books.entries != head["entries"] or books.is_whole and books.entry_digest != head["entry_digest"]:
        raise Wrong(f"the head has {head['entries']} entries with another digest; read were {books.entries}")
    return books


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as file:
        try:
            books = read_file(Bytes(file.read()))
        except Wrong as wrong:
            sys.exit(f"{sys.argv[1]}: {wrong}")
    shown = {
        "ledger_id": books.ledger.hex(),
        "records": books.records,
        "digest": books.record_digest.hex(),
        "entries": books.entries,
        "entry_digest": books.entry_digest.hex() if books.is_whole else None,
    }
    print(json.dumps(shown))


if __name__ == "__main__":
    main()
