"""Tables of the store, and the connection to them."""
