"""For scripts and notebooks: the instruments as functions, and any training loop watched."""
