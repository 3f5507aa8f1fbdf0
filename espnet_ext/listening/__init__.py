"""Listening tests: pages that people rate speech on, and what their answers say."""
