"""Which names of mailboxes belong together: inferiors, and what RENAME makes of them (RFC 3501, 5.1.1 and 6.3.5)."""

from __future__ import annotations

from collections.abc import Collection

from lemonade_imap.store.base import INBOX, SEPARATOR, MailboxExists, MailboxMissing, StoreError


def is_inferior(name: str, superior: str) -> bool:
    """Tell whether a name stands below another."""
    return name.startswith(superior + SEPARATOR)


def sorted_names(names: Collection[str]) -> list[str]:
    """Return names in their order: INBOX first."""
    return sorted(names, key=lambda name: (name != INBOX, name))


def renamed(present: Collection[str], old: str, new: str) -> dict[str, str]:
    """Return the new name of each mailbox that RENAME renames; INBOX is renamed as if it had no inferiors.

    `present`: the user's mailboxes. Raises MailboxMissing, MailboxExists, or StoreError for what cannot be.
    """
    wanted = {name for name in present if name == old or (old != INBOX and is_inferior(name, old))}
    if not wanted:
        raise MailboxMissing(f"no mailbox {old!r}")
    if old != INBOX and is_inferior(new, old):
        raise StoreError(f"mailbox {old!r} cannot become its own inferior")
    changes = {name: new + name[len(old) :] for name in wanted}
    taken = (set(present) - (wanted - {INBOX})) | {INBOX}
    for name in [new, *changes.values()]:
        if name in taken or name == old:
            raise MailboxExists(f"mailbox {name!r} exists")
    return changes
