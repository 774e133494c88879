"""Helpers of the testbed's tests: runs that are written by hand, and the processes of a test."""
