"""Commands carried out on a store: a module for each family of commands."""
