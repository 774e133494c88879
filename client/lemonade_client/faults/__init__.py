"""The faults of the client: named errors that it makes on purpose with `--fault NAME`.

`registry` has the list of all. A module for each protocol has its faults: `imap`, `sip`, `mscml`, `rtp`; `calls` has
those of the choice of media servers and services. A fault that only changes a SIP message is a row with the change.
Every other one is a `ClientBehaviour` that differs from the correct one in one value or function.
"""
