"""The HTTP server, under limits, of the administrator's listener and the reference platform."""
