"""``python -m pushgw``."""

from pushgw.cli import main

main()
