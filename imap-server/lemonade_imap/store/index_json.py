"""Converts the part index of a message to JSON and back; the SQLite store keeps it in this form."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from lemonade_imap.mail.mime import MimePart
from lemonade_wire.imap.bodystructure import Disposition, Envelope, MailAddress


def to_json(root: MimePart) -> str:
    """Return a part index as JSON; octets that are not UTF-8 are written as escapes."""
    return json.dumps(asdict(root), separators=(",", ":"))


def from_json(text: str) -> MimePart:
    """Return the part index that `to_json` wrote."""
    return _part(json.loads(text))


def _tuples(value: Any) -> Any:  # noqa: ANN401  JSON
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _part(fields: dict[str, Any]) -> MimePart:
    envelope = fields.pop("envelope")
    disposition = fields.pop("disposition")
    children = tuple(_part(child) for child in fields.pop("children"))
    return MimePart(
        **{name: _tuples(value) for name, value in fields.items()},
        envelope=None if envelope is None else _envelope(envelope),
        disposition=None if disposition is None else Disposition(disposition["kind"], _tuples(disposition["params"])),
        children=children,
    )


def _envelope(fields: dict[str, Any]) -> Envelope:
    values: dict[str, Any] = {
        name: tuple(MailAddress(**address) for address in value) if isinstance(value, list) else value
        for name, value in fields.items()
    }
    return Envelope(**values)
