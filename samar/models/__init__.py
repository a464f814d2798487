"""Networks that can be trained, and how a network is measured without being changed."""
