"""What is wrong with a store and its files, and a copy of it without what is wrong."""
