"""Speech synthesis modules."""
