"""Runs the command `landmarks` as `python -m landmarks`."""

from landmarks.cli.main import main

if __name__ == "__main__":
    main()
