"""Glossary: the words of the field, with equations and sources."""

from samar.web.learn.glossary import show

show()
