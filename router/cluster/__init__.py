"""One node among others: its sign of life, its duties, and those that are missed."""
