"""Train: choose the settings, start, steer and watch."""

from samar.web.train.page import train_page

train_page()
