"""Fuzzing: feeds generated octets to each parser that reads what a peer sent, and looks for what it must not do."""
