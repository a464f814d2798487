"""Who may do what with jobs."""
