from __future__ import annotations

import pytest

from lemonade_imap.config import ServerConfig
from lemonade_imap.sasl.offer import mechanisms, why_not

OPEN, STRICT = ServerConfig(), ServerConfig(cleartext_login=False)


@pytest.mark.parametrize(
    ("config", "private", "offered"),
    [
        (OPEN, False, ("SCRAM-SHA-256", "PLAIN", "ANONYMOUS")),
        (OPEN, True, ("SCRAM-SHA-256", "PLAIN", "ANONYMOUS")),
        (STRICT, False, ("SCRAM-SHA-256", "ANONYMOUS")),
        (STRICT, True, ("SCRAM-SHA-256", "PLAIN", "ANONYMOUS")),
    ],
)
def test_what_is_offered_is_not_refused_and_the_rest_is(
    config: ServerConfig, private: bool, offered: tuple[str, ...]
) -> None:
    assert mechanisms(config, private=private) == offered
    for mechanism in ("SCRAM-SHA-256", "PLAIN", "ANONYMOUS", "GSSAPI"):
        assert (why_not(mechanism, config, private=private) is None) is (mechanism in offered)


def test_a_password_in_the_clear_is_refused_by_its_own_code() -> None:
    said = why_not("PLAIN", STRICT, private=False)
    assert said is not None
    assert said.startswith("[PRIVACYREQUIRED] ")
