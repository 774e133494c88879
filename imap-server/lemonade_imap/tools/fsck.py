"""`lemonade-imap fsck`: checks a data folder, and makes what is wrong in it good."""

from __future__ import annotations

import argparse
import sys
import time

from lemonade_imap.store.checking import Check

EXIT_REPAIRED = 3
EXIT_LEFT = 4


def fsck(options: argparse.Namespace) -> int:
    """Check, repair unless `--check` is given, and say what was found; no server may run on the folder."""

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")

    check = Check(options.data, repairs=not options.check, now=time.time(), say=say)
    check.run()
    if not check.found:
        say("nothing is wrong")
        return 0
    say(f"{check.found} findings, {'left as they are' if options.check else 'put right as far as they can be'}")
    return EXIT_LEFT if options.check else EXIT_REPAIRED
