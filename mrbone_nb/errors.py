"""The one error a user can cause and can mend."""

LONGEST = 1500  # characters of a message; a value quoted from a file may be a megabyte


class InputError(ValueError):
    """Say in one line what is wrong with what the user gave, and what to do about it.

    The command line prints the text and ends with exit code 2; notebooks show it as it is.
    """

    def __init__(self, text: object = "") -> None:
        text = str(text)
        tail = LONGEST // 5  # what was expected stands at the end
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST - tail]} … {text[-tail:]}")
