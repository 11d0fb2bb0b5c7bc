"""The one error a user can cause and can mend."""


class InputError(ValueError):
    """Say in one line what is wrong with what the user gave, and what to do about it.

    The command line prints the text and ends with exit code 2; notebooks show it as it is.
    """
