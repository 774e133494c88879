"""What a message is made of: its MIME parts, headers, sections and transfer encodings, without any I/O."""
