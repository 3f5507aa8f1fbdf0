"""Text: normalisation, phonemes and tokens. Nothing here imports torch."""
