"""Jobs: what computes and waits, every run and measurement, and what to do with it."""

from samar.web.jobs.page import jobs_page

jobs_page()
