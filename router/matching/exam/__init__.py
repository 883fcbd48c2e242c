"""Exams: their versions, approval, hospital, and the readiness of their deliveries. Pure."""
