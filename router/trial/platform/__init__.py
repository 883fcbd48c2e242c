"""The reference platform: the regional cloud's side."""
