"""samar within other people's training frameworks; each file needs the framework of its name."""
