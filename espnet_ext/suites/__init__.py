"""Evaluation suites: a test set under conditions it was not recorded in, and the parts of it that are hard."""
