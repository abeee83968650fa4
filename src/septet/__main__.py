"""`python -m septet`: the command line, for torchrun."""

from .cli.app import main

if __name__ == "__main__":
    main()
