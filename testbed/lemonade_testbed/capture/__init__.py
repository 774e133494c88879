"""Reads the packet capture of a run with tshark, compares it with the nodes' traces, and keeps it as pcapng.

tshark and the splitters of this package are "the second reader": they share no parser with the nodes.
"""
