"""Language models over a recipe's tokens: n-grams, Transformer, LSTM."""

NGRAM_FILE = "ngram.npz"  # what ngram_train leaves in its folder
