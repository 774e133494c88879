"""Compares the sound that a client received over RTP with the audio part of the mail."""
