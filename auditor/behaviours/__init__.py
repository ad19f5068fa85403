"""The behaviour library, and the detectors made from it."""
