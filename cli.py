"""`python cli.py ...` from a checkout does what the installed command `searchkit ...` does."""

from searchkit.cli.main import main

if __name__ == "__main__":
    main()
