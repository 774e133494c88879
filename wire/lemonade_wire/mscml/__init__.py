"""The Media Server Control Markup Language (RFC 5022), as far as the streaming profile uses it."""
