"""SIGN: the verbs. They sequence, retry and stop; they format nothing."""
