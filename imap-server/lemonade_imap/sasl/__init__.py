"""SASL mechanisms, a module for each: octets in, challenges and claims out; passwords are checked elsewhere."""
