"""`python -m landmarks` is the command `landmarks`."""

from landmarks.cli.main import main

if __name__ == "__main__":
    main()
