"""Beam search over several utterances at once, entirely in tensors, and what scores hypotheses in it."""
