"""Decodes fetched parts in processes of their own, with limits on memory and time, shared fairly between callers."""
