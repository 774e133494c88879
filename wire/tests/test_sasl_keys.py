from __future__ import annotations

import base64

from lemonade_wire.sasl.keys import ScramKeys, mask, sign

# RFC 7677, 3
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
SAID = (
    b"n=user,r=rOprNGfwEbeRWgbNEkqO",
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
)


def test_the_proofs_of_rfc_7677() -> None:
    keys = ScramKeys.make("pencil", SALT, 4096)
    proof = mask(keys.client, sign(keys.stored, *SAID))
    assert base64.b64encode(proof) == b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert base64.b64encode(sign(keys.server, *SAID)) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    assert mask(proof, sign(keys.stored, *SAID)) == keys.client


def test_passwords_are_prepared() -> None:
    assert ScramKeys.make("pen\N{SOFT HYPHEN}cil", SALT, 1) == ScramKeys.make("pencil", SALT, 1)


def test_keys_are_not_shown() -> None:
    assert repr(ScramKeys.make("pencil", SALT, 1)) == "ScramKeys()"
