"""TLS from the side that connects: whom it trusts, and how it sees that it reached the host that was meant."""
