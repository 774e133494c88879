"""The testbed proper: scenarios, runtimes, evidence, ladder, judge and reports."""
