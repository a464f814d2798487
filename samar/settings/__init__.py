"""How a setting is declared, and what is made of a declaration: options, links, sentences."""
