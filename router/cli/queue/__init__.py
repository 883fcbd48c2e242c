"""`queue`: deliveries, decisions about them, and arrivals without a delivery."""
