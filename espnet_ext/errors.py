"""The one exception that is meant for the person at the terminal."""


class UserError(Exception):
    """Something the user can mend; the message says what was found, what was expected and what to do.

    Commands print the message without a traceback and exit with status 1.
    """
