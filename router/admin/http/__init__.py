"""The administrator's HTTP listener: health, metrics, sessions."""
