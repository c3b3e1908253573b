"""The audit log's lines, heads and exports: canonical, erasable, and sound to the last bit."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.decide import audit_export, audit_heads
from governance.decide.audit_leaf import (
    ERASED,
    canonical,
    opened,
    personal_texts,
    read_leaf,
    seal,
)
from governance.decide.merkle import Frontier, leaf_hash
from governance.model.audit import AuditEntry, LogName, Secret, TreeHead
from twinmesh_sdk.core.errors import InvalidInputError

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ACME = LogName("acme")


def salt(number):
    return bytes([number]) * 16


def entry(**parts):
    made = AuditEntry(NOW, "mara", "acme", "model.approve", "pump 1.0.0", "ACCEPTED")
    return replace(made, **parts)


def sealed(made, sequence=1):
    texts = personal_texts(made)
    return seal(
        made, sequence, actor=Secret(salt(1), made.actor),
        personal={name: Secret(salt(2 + n), text) for n, (name, text) in enumerate(texts.items())},
    )  # fmt: skip


def signed(entries, size=None):
    frontier, _ = Frontier().extended(leaf_hash(e.leaf) for e in entries[:size])
    return audit_heads.sign(TreeHead(ACME, frontier.size, frontier.root, NOW), KEY)


def exported(entries):
    return [audit_export.header_line(ACME), *map(audit_export.entry_line, entries)]


def log_of(count):
    return [
        sealed(entry(actor=f"person-{n % 3}", detail={"n": n, "note": f"because {n}"}), n + 1)
        for n in range(count)
    ]


def test_canonical_json_is_that_of_rfc_8785():
    """The numbers and names of RFC 8785's example in 3.2.2 and 3.2.3."""
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }

    assert canonical(value).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_an_entry_holds_no_name_and_no_persons_words():
    made = entry(detail={"model": "pump", "note": "looks fine, Tom"}, personal={"phone": "0123"})
    logged = sealed(made)

    for word in (b"mara", b"Tom", b"0123"):
        assert word not in logged.leaf
    assert opened(logged) == replace(made, sequence=1)


def test_what_is_erased_is_gone_and_the_entry_is_the_same():
    made = entry(detail={"model": "pump", "note": "looks fine, Tom"})
    logged = sealed(made)
    after = opened(replace(logged, actor=None, personal={}))

    assert (after.actor, after.detail) == (ERASED, {"model": "pump", "note": ERASED})
    assert audit_export.verify(
        exported([replace(logged, actor=None, personal={})]), [signed([logged])], PUBLIC
    ).sound


def test_one_person_has_one_pseudonym_in_a_log_and_two_have_two():
    names = [read_leaf(sealed(entry(actor=who)).leaf)["actor"] for who in ("a", "a", "b")]

    assert names[0] == names[1] != names[2]


def test_too_many_facts_are_replaced_by_their_digest():
    logged = sealed(entry(detail={"findings": ["x" * 1000] * 100}))

    assert set(read_leaf(logged.leaf)["detail"]) == {"omitted_bytes", "sha256"}


@pytest.mark.parametrize(
    "parts",
    [
        {"tenant": "Not A Tenant"},
        {"subject": "x" * 401},
        {"detail": {"n": 2**60}},
        {"detail": {"n": float("nan")}},
    ],
)
def test_what_cannot_be_canonical_is_refused(parts):
    with pytest.raises(InvalidInputError):
        sealed(entry(**parts))


def test_an_export_with_its_heads_is_sound():
    entries = log_of(9)
    report = audit_export.verify(exported(entries), [signed(entries, n) for n in (0, 3, 8)], PUBLIC)

    assert report.sound
    assert (report.entries, report.heads, report.covered, report.erased) == (9, 3, 8, 0)


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda lines: lines[:-1], "a head of 9 was signed"),
        (lambda lines: [*lines[:4], *lines[5:]], "number 5 in its place"),
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], "number 4 in its place"),
        (lambda lines: [*lines[:2], *lines[1:]], "number 1 in its place"),
    ],
)
def test_missing_swapped_and_doubled_entries_are_found(bend, words):
    entries = log_of(9)
    report = audit_export.verify(bend(exported(entries)), [signed(entries)], PUBLIC)

    assert not report.sound
    assert words in report.faults[0]


def test_a_log_written_anew_is_found_though_it_is_consistent_in_itself():
    entries = log_of(5)
    forged = [*entries[:2], sealed(entry(actor="person-2", outcome="REFUSED"), 3), *entries[3:]]

    assert not audit_export.verify(exported(forged), [signed(entries)], PUBLIC).sound
    assert audit_export.verify(exported(forged), [signed(forged)], PUBLIC).sound


def test_a_head_that_another_key_signed_vouches_for_nothing():
    entries = log_of(2)
    other = audit_heads.sign(signed(entries).head, Ed25519PrivateKey.from_private_bytes(b"x" * 32))

    assert not audit_export.verify(exported(entries), [other], PUBLIC).sound
    assert not audit_export.verify(exported(entries), [], PUBLIC).sound


def test_something_else_is_no_export():
    with pytest.raises(InvalidInputError):
        audit_export.verify(['{"a":1}'], [], PUBLIC)
    with pytest.raises(InvalidInputError):
        audit_export.verify([], [], PUBLIC)


def bent(data, text):
    """Return the text with one bit flipped anywhere, and what decodes of it."""
    raw = bytearray(text.encode())
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    return bytes(raw).decode("utf-8", "surrogateescape")


ENTRIES = log_of(6)
EXPORT = "\n".join(exported(ENTRIES))
HEAD = audit_heads.written(signed(ENTRIES))


@settings(max_examples=400)
@given(st.data())
def test_no_flipped_bit_of_an_export_goes_unseen(data):
    lines = bent(data, EXPORT).split("\n")
    try:
        report = audit_export.verify(lines, [audit_heads.read_head(HEAD)], PUBLIC)
    except InvalidInputError:
        return  # no export any more
    assert not report.sound


@settings(max_examples=400)
@given(st.data())
def test_no_flipped_bit_of_a_head_goes_unseen(data):
    try:
        head = audit_heads.read_head(bent(data, HEAD))
    except InvalidInputError:
        return  # no head any more
    assert not audit_export.verify(EXPORT.split("\n"), [head], PUBLIC).sound


@given(st.binary(max_size=200), st.text(max_size=200))
def test_garbage_is_refused_and_nothing_worse(data, text):
    for read in (
        lambda: audit_heads.read_head(text),
        lambda: audit_heads.read_head(data),
        lambda: audit_export.read_header(text),
        lambda: audit_export.read_entry(text, ACME),
        lambda: audit_heads.private_key(text),
        lambda: audit_heads.read_public_key(data),
    ):
        with pytest.raises(InvalidInputError):
            read()


def test_keys_survive_their_files():
    assert audit_heads.read_public_key(audit_heads.public_pem(PUBLIC).encode()) == PUBLIC
