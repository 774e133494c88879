"""The two services: announcements (NETANN, RFC 4240) and interactive voice response (MSCML, RFC 5022)."""
