"""Getting a trained model out of the recipe: packing, sharing."""
