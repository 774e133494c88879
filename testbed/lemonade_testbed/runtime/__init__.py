"""The runtimes: they start, watch and stop the nodes of one scenario, as processes or in containers.

The nodes are an IMAP server, a media server and a client, or several servers of one role; the "world" of a scenario is
its network addresses, the options of its nodes, and how they ended (`world.json`).
"""
