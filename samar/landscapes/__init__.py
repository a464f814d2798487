"""Loss landscapes: lines and planes through a network's weights."""
