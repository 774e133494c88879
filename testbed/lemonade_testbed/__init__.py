"""The testbed: runs scenarios in a runtime, collects the evidence, judges it, and writes the reports."""
