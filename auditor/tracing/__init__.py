"""From a text to the passages it resembles: copied words, near copies, same meaning, or nothing."""
