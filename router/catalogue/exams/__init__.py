"""Rows of exams, their documents and PDFs, and what people decided about them."""
