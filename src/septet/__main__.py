"""`python -m septet`: the command line, as torchrun starts it on several ranks."""

from .cli.app import main

if __name__ == "__main__":
    main()
