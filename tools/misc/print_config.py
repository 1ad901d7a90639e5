"""Print a config with everything it inherits."""

import argparse

import mapper_mm  # noqa: F401
from mapper_mm.cli.arguments import add_config_arguments, exit_on_user_error, read_config


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_config_arguments(parser)
    parser.add_argument('--save-path', help='also write it to this file (.py, .json or .yml)')
    return parser.parse_args()


def main() -> None:
    """Print the config that the command line names."""
    args = parse_args()
    with exit_on_user_error():
        config = read_config(args)
        print(config.pretty_text)
        if args.save_path:
            config.dump(args.save_path)


if __name__ == '__main__':
    main()
