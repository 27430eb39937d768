"""SIGN: the only hands that touch the world: files, the environment, and the server."""
