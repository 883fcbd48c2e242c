"""Exams: their versions, approval, hospital, and what a delivery of them waits for. Pure."""
