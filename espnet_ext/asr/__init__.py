"""Speech recognition modules."""
