"""Models: networks trained elsewhere. Load one, see at once whether it was read right, use it."""

from samar.web.models.page import models_page

models_page()
