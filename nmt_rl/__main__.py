"""`python -m nmt_rl` is the console script."""

from nmt_rl.cli.main import main

main()
