"""The training loop: settings in, a stream of records out."""
