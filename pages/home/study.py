"""Study: the runs that the defaults come from, with every unfavourable result."""

from samar.ui.study_view import show

show()
