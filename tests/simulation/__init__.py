"""Two nodes over one catalogue, taken step by step on a fake clock, with what must hold after each step."""
