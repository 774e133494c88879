"""SASL, as far as a client and a server share it: how names are prepared, SCRAM's keys, and the client's exchanges."""
