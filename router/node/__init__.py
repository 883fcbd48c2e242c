"""The node as a whole: built from the configuration, started, reloaded, stopped; one among others."""
