"""Text from outside and for people: decoded by its bytes, judged by its script, spoken in two languages."""
