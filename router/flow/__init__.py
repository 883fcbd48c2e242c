"""Data flowing one way: intake, correlator, dispatcher."""
