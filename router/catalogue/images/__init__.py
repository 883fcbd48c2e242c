"""Rows of instances, series and studies, and their states at each destination."""
