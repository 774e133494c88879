from __future__ import annotations

import pytest

from lemonade_imap.config import LoginPolicy
from lemonade_imap.sasl.verifier import ITERATIONS, SALT_SIZE, ScramVerifier
from lemonade_imap.serving import gate as gate_module
from lemonade_imap.serving.gate import Failures, Gate

POLICY = LoginPolicy(delay=0.5, longest_delay=4.0, address_failures=6, memory=60.0)


def test_each_failure_doubles_the_wait_up_to_the_longest() -> None:
    failures = Failures(POLICY)
    assert [failures.failed("192.0.2.1", 100.0 + at) for at in range(5)] == [0.5, 1.0, 2.0, 4.0, 4.0]
    assert failures.failed("192.0.2.2", 105.0) == 0.5


def test_who_failed_too_often_is_blocked_until_it_is_forgotten() -> None:
    failures = Failures(POLICY)
    for at in range(6):
        assert not failures.blocked("192.0.2.1", 100.0 + at)
        failures.failed("192.0.2.1", 100.0 + at)
    assert failures.blocked("192.0.2.1", 106.0)
    assert not failures.blocked("192.0.2.2", 106.0)
    assert failures.blocked("192.0.2.1", 159.9)
    assert not failures.blocked("192.0.2.1", 160.0)
    assert failures.failed("192.0.2.1", 300.0) == 0.5


def test_the_memory_of_addresses_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "_MOST_ADDRESSES", 3)
    failures = Failures(POLICY)
    for last in range(4):
        failures.failed(f"192.0.2.{last}", 100.0)
    assert failures.failed("192.0.2.3", 100.0) == 1.0
    assert failures.failed("192.0.2.0", 100.0) == 0.5


def test_passwords_match_once_they_are_prepared() -> None:
    gate = Gate({"joe": "secret"})
    assert gate.matches("joe", "secret")
    assert gate.matches("joe", "sec\N{SOFT HYPHEN}ret")
    assert not gate.matches("joe", "Secret")
    assert not gate.matches("joe", "")
    assert not gate.matches("joe", "sec\x07ret")
    assert not gate.matches("nobody", "secret")
    assert gate.known("joe")
    assert not gate.known("nobody")


def test_only_the_right_password_of_somebody_who_was_here_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    matches = ScramVerifier.matches

    def counting(self: ScramVerifier, password: str) -> bool:
        hashed.append(password)
        return matches(self, password)

    monkeypatch.setattr(ScramVerifier, "matches", counting)
    gate = Gate({"joe": "secret"})
    assert gate.matches("joe", "secret")
    assert gate.matches("joe", "secret")
    assert hashed == ["secret"]
    for name in ("joe", "nobody"):
        assert not gate.matches(name, "wrong")
    assert hashed == ["secret", "wrong", "wrong"]


def test_a_changed_password_ends_what_was_remembered_of_the_old_one() -> None:
    kept = {"joe": ScramVerifier.make("old", bytes(SALT_SIZE), 1)}
    gate = Gate({}, lookup=kept.get)
    assert gate.matches("joe", "old")
    kept["joe"] = ScramVerifier.make("new", bytes(SALT_SIZE), 1)
    assert not gate.matches("joe", "old")
    assert gate.matches("joe", "new")
    del kept["joe"]
    assert not gate.matches("joe", "new")


def test_a_name_nobody_has_looks_like_an_account() -> None:
    gate = Gate({"joe": "secret"}, secret=b"s" * 32)
    decoy, account = gate.verifier("nobody"), gate.verifier("joe")
    assert (len(decoy.salt), decoy.iterations) == (len(account.salt), account.iterations) == (SALT_SIZE, ITERATIONS)
    assert decoy == gate.verifier("nobody")
    assert decoy.salt != gate.verifier("somebody").salt
    # another start of the same server gives the same salts to both
    again = Gate({"joe": "other"}, secret=b"s" * 32)
    assert (again.verifier("nobody").salt, again.verifier("joe").salt) == (decoy.salt, account.salt)
    assert Gate({}).verifier("nobody").salt != decoy.salt
