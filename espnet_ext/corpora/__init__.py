"""One corpus a file: `download(corpus_dir)` where it may be fetched, `prepare(corpus_dir,
data_dir)`.
"""
