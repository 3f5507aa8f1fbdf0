"""From sound to text and from text to sound with trained models."""
