"""The state of a node: whether it runs, takes images, and what works in part."""
