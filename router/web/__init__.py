"""The one HTTP server of the node, under limits: of the administrator and of the reference platform."""
