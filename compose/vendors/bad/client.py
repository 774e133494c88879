"""A client that breaks the vendor contract on purpose: it says of every scenario that it is done."""
