"""`python -m router.cli COMMAND ...`, as the launcher in scripts/ calls it."""

from router.cli import main

if __name__ == "__main__":
    main()
