"""The language of ladders: what it reads, and the error, with its line, for each mistake."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lemonade_testbed.ladder.model import Alt, Bound, Loop, Opt, Par
from lemonade_testbed.ladder.parser import LadderError, parse_ladder

GOOD = """
Note over client,media: the call
client->>imap: IMAP FETCH BODYSTRUCTURE   %% LS-2.1-1 and E-43
opt trying
  media-->>client: SIP 100 INVITE
end
alt found
  media-->>client: SIP 200 INVITE
else not found
  media-->>client: SIP 4xx INVITE
end
%% LS-9-9 stands behind no arrow
par
  media->>imap: IMAP URLFETCH $url
  imap-->>media: IMAP OK URLFETCH data
and
  client->>media: SIP INFO dtmf-relay *
end
loop twice
  media->>client: RTP PCMU media-0.1..0.5*media+1 s continued
end
"""


def test_a_ladder_with_everything_is_read() -> None:
    ladder = parse_ladder(GOOD, first_line=10)
    first, opt, alt, par, loop = ladder.tree.items
    assert [arrow.index for arrow in ladder.arrows] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert str(first) == "client->>imap: IMAP FETCH BODYSTRUCTURE"
    assert ladder.arrows[0].clauses == ("LS-2.1-1",)
    assert ladder.arrows[0].line == 12
    assert isinstance(opt, Opt)
    assert opt.title == "trying"
    assert isinstance(alt, Alt)
    assert len(alt.branches) == 2
    assert isinstance(par, Par)
    assert isinstance(loop, Loop)
    rtp = ladder.arrows[-1].rtp
    assert rtp is not None
    assert (rtp.codec, rtp.low, rtp.high, rtp.continued) == ("PCMU", Bound(-0.1, 1), Bound(1, 0.5), True)
    assert rtp.low.value(12.0) == pytest.approx(11.9)


BAD = {
    "empty": ("", 1, "at least one arrow"),
    "comments alone": ("%% nothing\n", 1, "at least one arrow"),
    "unknown role": ("client->>server: SIP BYE", 1, "unknown node 'server'"),
    "misspelt role": ("clinet->>media: SIP BYE", 1, "did you mean 'client'?"),
    "to itself": ("client->>client: SIP BYE", 1, "sends nothing to itself"),
    "no label": ("client->>media:", 1, "has a label"),
    "no colon": ("client->>media SIP BYE", 1, "not an arrow"),
    "unknown protocol": ("client->>media: SPI BYE", 1, "did you mean 'SIP'?"),
    "unknown method": ("client->>media: SIP INVTE", 1, "did you mean 'INVITE'?"),
    "unknown INFO": ("client->>media: SIP INFO playcolect $url", 1, "did you mean 'playcollect'?"),
    "bare INFO": ("client->>media: SIP INFO", 1, "unknown kind of INFO"),
    "unknown command": ("client->>imap: IMAP URLFETCHH $url", 1, "did you mean 'URLFETCH'?"),
    "request drawn as response": ("client-->>media: SIP INVITE annc", 1, "a request is ->>"),
    "response drawn as request": ("media->>client: SIP 200 INVITE", 1, "write -->>"),
    "IMAP response drawn as request": ("imap->>client: IMAP OK FETCH", 1, "write -->>"),
    "IMAP request drawn as response": ("client-->>imap: IMAP FETCH", 1, "a request is ->>"),
    "response without method": ("media-->>client: SIP 200", 1, "SIP STATUS METHOD"),
    "status out of range": ("media-->>client: SIP 700 INVITE", 1, "SIP STATUS METHOD"),
    "answer says too much": ("imap-->>client: IMAP OK FETCH data", 1, "only URLFETCH says more"),
    "RTP as response": ("media-->>client: RTP PCMU 1..2 s", 1, "RTP answers nothing"),
    "RTP without time": ("media->>client: RTP PCMU", 1, "RTP CODEC LOW..HIGH s"),
    "RTP without unit": ("media->>client: RTP PCMU 1..2", 1, "RTP CODEC LOW..HIGH s"),
    "RTP backwards": ("media->>client: RTP PCMU 3..2 s", 1, "from more to less"),
    "RTP with words": ("media->>client: RTP PCMU soon..media s", 1, "is not a time"),
    "bad name": ("client->>imap: IMAP URLFETCH $URL!", 1, "is not a name"),
    "open opt": ("client->>media: SIP BYE\nopt\nclient->>media: SIP BYE", 2, "has no 'end'"),
    "end too much": ("client->>media: SIP BYE\nend", 2, "without an open block"),
    "empty opt": ("opt\nend", 2, "has no arrow"),
    "empty branch": ("alt\nclient->>media: SIP BYE\nelse\nend", 4, "has no arrow"),
    "else in par": ("par\nclient->>media: SIP BYE\nelse\nend", 3, "'else' without an open 'alt'"),
    "and outside": ("client->>media: SIP BYE\nand", 2, "'and' without an open 'par'"),
    "misspelt keyword": ("client->>media: SIP BYE\nopts", 2, "did you mean 'opt'?"),
    "note over nobody": ("Note over server: here\nclient->>media: SIP BYE", 1, "unknown node 'server'"),
    "dotted arrow": ("client-)media: SIP BYE", 1, "an arrow is A->>B"),
}


@pytest.mark.parametrize(("text", "line", "says"), BAD.values(), ids=BAD)
def test_an_error_names_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(LadderError) as caught:
        parse_ladder(text)
    assert caught.value.line == line
    assert says in caught.value.problem


WORDS = st.sampled_from(
    [
        "client",
        "->>",
        "-->>",
        "media",
        ":",
        " ",
        "SIP",
        "200",
        "RTP",
        "1..2",
        "media..",
        "\n",
        "opt",
        "end",
        "%%",
        "$",
        "x",
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.lists(WORDS).map("".join), st.lists(WORDS).map(" ".join)))
def test_any_text_is_a_ladder_or_an_error_with_a_line(text: str) -> None:
    line = 1
    try:
        assert parse_ladder(text).arrows
    except LadderError as problem:
        line = problem.line
    assert 1 <= line <= max(1, len(text.splitlines()))
