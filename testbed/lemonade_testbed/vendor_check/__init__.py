"""The commands for vendors: the check of an image against the vendor contract, and the matrix of peers."""
