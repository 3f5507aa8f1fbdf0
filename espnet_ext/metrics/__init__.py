"""Error rates with alignment, speech quality, and how sure the figures are."""
