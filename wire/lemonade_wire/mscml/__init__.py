"""The Media Server Control Markup Language (RFC 5022): requests, responses and notifications, read and written.

The IVR service is complete; of the requests for conferences and fax only the names are known.
"""
