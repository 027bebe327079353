"""`python -m nmt_rl` is the console script."""

from nmt_rl.cli.main import main

if __name__ == "__main__":  # Not in the processes that preparation starts.
    main()
