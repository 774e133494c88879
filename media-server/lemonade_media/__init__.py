"""Reference media server: NETANN announcements and MSCML IVR over SIP (RFC 4240, 5022)."""
