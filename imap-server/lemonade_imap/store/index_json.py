"""The index of a message as JSON and back, as the SQLite store keeps it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from lemonade_imap.mail.mime import Part
from lemonade_wire.imap.bodystructure import Disposition, Envelope, MailAddress


def to_json(root: Part) -> str:
    """Write an index; text that is no UTF-8 stays as escapes."""
    return json.dumps(asdict(root), separators=(",", ":"))


def from_json(text: str) -> Part:
    """Read what `to_json` wrote."""
    return _part(json.loads(text))


def _tuples(value: Any) -> Any:  # noqa: ANN401  JSON
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _part(fields: dict[str, Any]) -> Part:
    envelope = fields.pop("envelope")
    disposition = fields.pop("disposition")
    children = tuple(_part(child) for child in fields.pop("children"))
    return Part(
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
