"""All command classes in one module, for the code that carries commands out."""

from __future__ import annotations

from lemonade_imap.grammar.append import Append
from lemonade_imap.grammar.base import ParsedCommand
from lemonade_imap.grammar.fetch import Fetch
from lemonade_imap.grammar.flags import CheckCommand, Close, Copy, Expunge, Move, StoreFlags
from lemonade_imap.grammar.mailboxes import (
    Create,
    Delete,
    ListMailboxes,
    ListSubscribed,
    Namespace,
    Rename,
    Select,
    Status,
    Subscribe,
    Unsubscribe,
)
from lemonade_imap.grammar.metadata import GetMetadata, SetMetadata
from lemonade_imap.grammar.search import Search
from lemonade_imap.grammar.session import (
    Authenticate,
    Capability,
    Enable,
    Id,
    Idle,
    IdleDone,
    Login,
    Logout,
    Noop,
    StartTls,
)
from lemonade_imap.grammar.tickets import GenUrlAuth, ResetKey, UrlFetch, UrlFetchArgument

__all__ = [
    "Append",
    "Authenticate",
    "Capability",
    "CheckCommand",
    "Close",
    "Copy",
    "Create",
    "Delete",
    "Enable",
    "Expunge",
    "Fetch",
    "GenUrlAuth",
    "GetMetadata",
    "Id",
    "Idle",
    "IdleDone",
    "ListMailboxes",
    "ListSubscribed",
    "Login",
    "Logout",
    "Move",
    "Namespace",
    "Noop",
    "ParsedCommand",
    "Rename",
    "ResetKey",
    "Search",
    "Select",
    "SetMetadata",
    "StartTls",
    "Status",
    "StoreFlags",
    "Subscribe",
    "Unsubscribe",
    "UrlFetch",
    "UrlFetchArgument",
]
