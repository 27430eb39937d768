"""SIGN: how a person or a machine sees a value. Pure."""
