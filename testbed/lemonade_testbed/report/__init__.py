"""Reports: terminal text, verdict.txt, ladder.md, result.json and junit.xml."""
