"""Views of a running node for administrators."""
