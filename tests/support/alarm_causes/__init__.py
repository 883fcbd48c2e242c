"""Causes of alarms, each with the real parts that raise and end its alarm; the clock is a test's."""
