"""SIGN: what things are. Values only: no I/O, no clock, no server."""
