"""The two ways in which imgan says no. The command line prints one line and no more."""


class Failure(Exception):
    """Work that could not be done: what, where, and how to mend it. Exit code 1."""

    exit_code = 1


class Misuse(Failure):
    """A command that cannot mean anything as typed. Exit code 2."""

    exit_code = 2
