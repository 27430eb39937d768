"""SIGN: what should happen. Pure functions over the model; the same values always give the same plan."""
