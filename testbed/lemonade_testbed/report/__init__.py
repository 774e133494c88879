"""Writes the reports of a run: terminal text, verdict.txt, ladder.md, result.json and junit.xml."""
