"""The stage of the Train page: what its browser component is told, message by message."""
