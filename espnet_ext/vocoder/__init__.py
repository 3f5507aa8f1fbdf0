"""From a log-mel spectrogram to the waveform: generators, discriminators, and the model that trains both."""
