"""The container engine: its command-line tools, and the labels by which the objects of a run are found."""
