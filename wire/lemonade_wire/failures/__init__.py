"""Errors of a node's own program that are not handled anywhere."""
