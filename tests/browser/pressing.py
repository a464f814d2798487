"""Pressing a button on a page that is being drawn."""

from collections.abc import Callable

from playwright.sync_api import Locator

TRIES = 3


def press(button: Locator, effect: Callable[[], None]) -> None:
    """Click, and click again where a redraw took the button from under the pointer.

    Between pressing and releasing the mouse, an element that Streamlit has just replaced is gone,
    and the browser sends the click to what lies below.

    Args:
        effect: raises ``AssertionError`` as long as the click shows no effect.

    Raises:
        AssertionError: no click had an effect.
    """
    for left in reversed(range(TRIES)):
        if button.count():  # else an earlier click had its effect late
            button.click()
        try:
            return effect()
        except AssertionError:
            if not left:
                raise
