"""The tables of the index, and their version."""

VERSION = 2

TABLES = (
    """CREATE TABLE mailbox (
       ident INTEGER PRIMARY KEY AUTOINCREMENT, user TEXT NOT NULL, name TEXT NOT NULL, uid_validity INTEGER NOT NULL,
       uid_next INTEGER NOT NULL DEFAULT 1, highest_modseq INTEGER NOT NULL DEFAULT 1,
       recent_from INTEGER NOT NULL DEFAULT 1, key BLOB, UNIQUE (user, name))""",
    """CREATE TABLE content (ident INTEGER PRIMARY KEY AUTOINCREMENT, parts TEXT NOT NULL)""",
    """CREATE TABLE message (
       ident INTEGER PRIMARY KEY AUTOINCREMENT, mailbox INTEGER NOT NULL REFERENCES mailbox, uid INTEGER NOT NULL,
       flags TEXT NOT NULL, received TEXT NOT NULL, size INTEGER NOT NULL, modseq INTEGER NOT NULL DEFAULT 1,
       content INTEGER NOT NULL REFERENCES content, UNIQUE (mailbox, uid))""",
    """CREATE INDEX message_content ON message (content)""",
    """CREATE TABLE past (
       user TEXT NOT NULL, name TEXT NOT NULL, uid_validity INTEGER NOT NULL,
       PRIMARY KEY (user, name)) WITHOUT ROWID""",
    """CREATE TABLE subscription (user TEXT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (user, name)) WITHOUT ROWID""",
    """CREATE TABLE annotation (
       mailbox INTEGER NOT NULL, user TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
       PRIMARY KEY (mailbox, user, key)) WITHOUT ROWID""",
    """CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL)""",
)
"""Mailbox 0 of an annotation is the server, user '' everybody; `past` has the UIDVALIDITY that a name had last."""
