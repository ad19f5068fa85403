"""What a fine-tuning set teaches, and on which cue: pure functions of its rows."""
