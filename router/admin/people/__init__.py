"""People at the console: their users, and how they log in."""
