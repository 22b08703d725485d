"""`python -m metaact` is the `metaact` command."""

from metaact.cli import main

if __name__ == "__main__":
    main()
