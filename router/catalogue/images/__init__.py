"""Rows of instances, series and studies, and of what became of each at each destination."""
