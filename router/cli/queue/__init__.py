"""`queue`: deliveries to look at, what a person may tell them, and what has none."""
