"""Claims that can fail: what is claimed, what is locked, how it is tested, how it is decided."""
