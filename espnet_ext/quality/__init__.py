"""Whether data is fit for training: audio, texts, agreement of transcribers, who is represented."""
