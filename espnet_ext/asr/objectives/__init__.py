"""What a recogniser is trained towards besides cross-entropy and CTC: one objective a module."""
