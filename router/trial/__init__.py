"""The reference platform and the demo: for trying out, not needed to run."""
