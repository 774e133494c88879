"""The Media Server Control Markup Language (RFC 5022): requests, responses, notifications, and what is kept secret.

All of the IVR service is here; of conferences and fax, the names of their requests.
"""
