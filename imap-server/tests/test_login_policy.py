from __future__ import annotations

import pytest

from lemonade_imap.config import LoginPolicy
from lemonade_imap.sasl import ITERATIONS, SALT_SIZE, ScramVerifier
from lemonade_imap.serving import login_policy
from lemonade_imap.serving.login_policy import Authenticator, LoginFailures

POLICY = LoginPolicy(delay=0.5, longest_delay=4.0, address_failures=6, memory=60.0)


def test_each_failure_doubles_the_wait_up_to_the_longest() -> None:
    failures = LoginFailures(POLICY)
    assert [failures.failed("192.0.2.1", 100.0 + at) for at in range(5)] == [0.5, 1.0, 2.0, 4.0, 4.0]
    assert failures.failed("192.0.2.2", 105.0) == 0.5


def test_an_address_with_too_many_failures_is_blocked_for_a_time() -> None:
    failures = LoginFailures(POLICY)
    for at in range(6):
        assert not failures.blocked("192.0.2.1", 100.0 + at)
        failures.failed("192.0.2.1", 100.0 + at)
    assert failures.blocked("192.0.2.1", 106.0)
    assert not failures.blocked("192.0.2.2", 106.0)
    assert failures.blocked("192.0.2.1", 159.9)
    assert not failures.blocked("192.0.2.1", 160.0)
    assert failures.failed("192.0.2.1", 300.0) == 0.5


def test_the_number_of_remembered_addresses_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_policy, "_MOST_ADDRESSES", 3)
    failures = LoginFailures(POLICY)
    for last in range(4):
        failures.failed(f"192.0.2.{last}", 100.0)
    assert failures.failed("192.0.2.3", 100.0) == 1.0
    assert failures.failed("192.0.2.0", 100.0) == 0.5


def test_passwords_match_once_they_are_prepared() -> None:
    authenticator = Authenticator({"joe": "secret"})
    assert authenticator.matches("joe", "secret")
    assert authenticator.matches("joe", "sec\N{SOFT HYPHEN}ret")
    assert not authenticator.matches("joe", "Secret")
    assert not authenticator.matches("joe", "")
    assert not authenticator.matches("joe", "sec\x07ret")
    assert not authenticator.matches("nobody", "secret")
    assert authenticator.known("joe")
    assert not authenticator.known("nobody")


def test_only_a_password_that_matched_before_is_checked_without_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    matches = ScramVerifier.matches

    def counting(self: ScramVerifier, password: str) -> bool:
        hashed.append(password)
        return matches(self, password)

    monkeypatch.setattr(ScramVerifier, "matches", counting)
    authenticator = Authenticator({"joe": "secret"})
    assert authenticator.matches("joe", "secret")
    assert authenticator.matches("joe", "secret")
    assert hashed == ["secret"]
    for name in ("joe", "nobody"):
        assert not authenticator.matches(name, "wrong")
    assert hashed == ["secret", "wrong", "wrong"]


def test_after_a_change_of_password_the_old_one_does_not_match() -> None:
    kept = {"joe": ScramVerifier.make("old", bytes(SALT_SIZE), 1)}
    authenticator = Authenticator({}, lookup=kept.get)
    assert authenticator.matches("joe", "old")
    kept["joe"] = ScramVerifier.make("new", bytes(SALT_SIZE), 1)
    assert not authenticator.matches("joe", "old")
    assert authenticator.matches("joe", "new")
    del kept["joe"]
    assert not authenticator.matches("joe", "new")


def test_an_unknown_name_gets_the_same_verifier_each_time() -> None:
    authenticator = Authenticator({"joe": "secret"}, secret=b"s" * 32)
    decoy, account = authenticator.verifier("nobody"), authenticator.verifier("joe")
    assert (len(decoy.salt), decoy.iterations) == (len(account.salt), account.iterations) == (SALT_SIZE, ITERATIONS)
    assert decoy == authenticator.verifier("nobody")
    assert decoy.salt != authenticator.verifier("somebody").salt
    # a server that is started again with the same secret gives both the same salts
    again = Authenticator({"joe": "other"}, secret=b"s" * 32)
    assert (again.verifier("nobody").salt, again.verifier("joe").salt) == (decoy.salt, account.salt)
    assert Authenticator({}).verifier("nobody").salt != decoy.salt
