"""The data folder's own secret: what must be hard to guess, and the same after every start."""

from __future__ import annotations

import secrets
from pathlib import Path

from lemonade_imap.store.base import StoreError
from lemonade_imap.store.files import replace_file

SIZE = 32


def kept_secret(folder: Path) -> bytes:
    """Return the folder's secret, 32 octets, made now where there was none; raises StoreError."""
    path = folder / "secret"
    try:
        try:
            kept = path.read_bytes()
        except FileNotFoundError:
            kept = secrets.token_bytes(SIZE)
            replace_file(path, kept)
    except OSError as problem:
        raise StoreError(f"{path}: {problem.strerror}") from problem
    if len(kept) != SIZE:
        raise StoreError(f"{path} has {len(kept)} octets instead of {SIZE}: without it a new one is made")
    return kept
