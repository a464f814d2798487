"""Images: what can be learned, loaded and normalized, and the fixed samples to measure on."""
