"""Which network? A run at a step, a file, a public checkpoint: module, images, facts."""
