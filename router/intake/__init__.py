"""Intake: from files and messages to documents of exams."""
