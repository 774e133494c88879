"""The protocols of the testbed: octets in, events out; no sockets, no clocks."""
