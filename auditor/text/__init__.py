"""Pure facts about characters and words, with no audit in sight."""
