"""``python -m matropy``."""

from matropy.cli import main

if __name__ == "__main__":
    main()
