"""The calls of the media server without I/O: their control, their admission, and what is negotiated for them."""
