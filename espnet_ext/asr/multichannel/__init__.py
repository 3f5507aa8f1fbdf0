"""Several microphones in, one recogniser out: masks, beamformers and dereverberation that are trained with it."""
