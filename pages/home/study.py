"""Study: the runs that the defaults come from, with every unfavourable result."""

from samar.web.about.study import show

show()
