"""``python -m pixel2style2pixel_cli`` is the command ``p2s2p``."""

from pixel2style2pixel_cli.cli.app import main

if __name__ == "__main__":
    main()
