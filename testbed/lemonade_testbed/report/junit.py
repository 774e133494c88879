"""Writes `junit.xml`, the format of test results that CI systems read: one suite per run, one case per scenario."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from lemonade_testbed.report.result import Case
from lemonade_testbed.report.text import scenario_text
from lemonade_testbed.verdict import Outcome

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(cases: Sequence[Case], *, strict: bool = False) -> str:
    """Return the XML document of a run.

    The outcome `fail` is a failure, with `strict` also `nonstrict`; `error` is an error; `unsupported` is skipped.
    """
    kinds = [_kind(case, strict) for case in cases]
    totals = {
        "tests": str(len(cases)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }
    root = Element("testsuites", {"name": "lemonade", **totals})
    suite = SubElement(root, "testsuite", {"name": "scenarios", **totals})
    for case, kind in zip(cases, kinds, strict=True):
        _case(suite, case, kind, strict)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _kind(case: Case, strict: bool) -> str:
    if case.verdict.accepted(strict):
        return ""
    return {Outcome.ERROR: "error", Outcome.UNSUPPORTED: "skipped"}.get(case.verdict.outcome, "failure")


def _case(suite: Element, case: Case, kind: str, strict: bool) -> None:
    attributes = {"name": case.name, "classname": f"scenarios.{case.scenario.name}", "time": f"{case.seconds:.3f}"}
    element = SubElement(suite, "testcase", attributes)
    charged = [reason for reason in case.verdict.reasons if reason.role]
    if charged:
        properties = SubElement(element, "properties")
        for name, value in (("role", charged[0].role), ("node", charged[0].node), ("clause", charged[0].clauses[0])):
            SubElement(properties, "property", {"name": name, "value": value})
    text = _clean(scenario_text(case.scenario, case.verdict, case.folder, case.command, strict=strict))
    if kind:
        reason = next(iter(case.verdict.reasons), None)
        message = f"{reason.place or reason.requirement}: {reason.seen}" if reason else case.verdict.outcome.value
        child = SubElement(element, kind, {"message": _clean(message)})
        if kind != "skipped":
            child.set("type", case.verdict.outcome.value)
            child.text = text
    SubElement(element, "system-out").text = text


def _clean(text: str) -> str:
    """Replace each character that XML 1.0 does not allow (section 2.2) by a question mark."""
    return _NOT_XML.sub("?", text)
