"""Reading, writing and resampling audio (no torch here)."""
