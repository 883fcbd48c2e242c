"""Joining reports and images: pure decisions over frozen values."""
