"""Matching of exams, patients, report PDFs and images: pure decisions over frozen values."""
