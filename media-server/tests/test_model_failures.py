"""The status and MSCML response of every failure."""

from __future__ import annotations

import pytest

from lemonade_media.model.failures import Failure, FailureKind
from lemonade_wire.mscml.messages import ErrorInfo


@pytest.mark.parametrize("kind", list(FailureKind))
def test_every_kind_has_codes_of_the_right_class(kind: FailureKind) -> None:
    failure = Failure(kind, "because")
    assert 400 <= failure.status < 600
    assert failure.reason
    assert 400 <= failure.code < 600
    assert failure.text
    info = failure.error_info("imap://x")
    assert info is None or (400 <= info.code < 600 and info.context == "imap://x")


def test_only_retrieval_failures_have_error_info() -> None:
    assert Failure(FailureKind.NOT_FOUND, "NIL").error_info("u") == ErrorInfo(404, "Not Found", "u")
    assert Failure(FailureKind.UNPLAYABLE, "text").error_info("u") is None


def test_warning_is_one_quoted_string() -> None:
    failure = Failure(FailureKind.REFUSED, 'NO "x"\r\n\\é')
    assert failure.warning("192.0.2.2") == (("Warning", "399 192.0.2.2 \"NO 'x'''''\""),)
    assert failure.warning("2001:db8::2")[0][1].startswith("399 [2001:db8::2] ")
    assert Failure(FailureKind.NOT_FOUND, "NIL").warning("192.0.2.2") == ()
