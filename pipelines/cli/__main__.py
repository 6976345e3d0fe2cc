"""``python -m pipelines.cli``: the command line, by whichever Python runs it."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
