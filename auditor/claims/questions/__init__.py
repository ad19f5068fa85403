"""One module for each kind of test: a claim and its material → a question, or what is missing."""
