"""The glossary: words and papers."""
