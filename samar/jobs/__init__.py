"""Jobs: settings, a process, and what it leaves in the store. Nothing here knows any science."""
