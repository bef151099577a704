"""``python -m batchcls`` and the ``batchcls`` command."""

from __future__ import annotations


def command() -> None:
    """Run the command line, and end the process."""
    from batchcls.leaving import leave

    try:
        main()
    except SystemExit as end:
        leave(end.code)
        raise


def main() -> None:
    """Run the command line."""
    from batchcls.blas import one_from_the_start
    from batchcls.importing import importing, process_is_own

    one_from_the_start()
    process_is_own()
    with importing():
        from batchcls.cli import main as cli_main

    cli_main()


if __name__ == "__main__":
    command()
