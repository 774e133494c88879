"""The faults of the media server: named errors that it makes on purpose with `--fault NAME`.

`registry` has the list of all. A module for each protocol has its faults: `sip`, `sdp`, `imap`, `rtp`, `mscml`; `calls`
has those of the decisions about a call. A fault that only changes a message is a row with the change. Every other one
is a row that the media server compares its own fault with where it takes the decision.
"""
