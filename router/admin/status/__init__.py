"""The state of a node: running, receiving, and the parts that do not work."""
