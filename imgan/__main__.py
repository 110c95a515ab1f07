"""`python -m imgan` is `imgan`."""

from imgan.cli import main

main()
