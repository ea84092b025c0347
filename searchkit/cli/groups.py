"""Groups of commands, one of which is meant where none is named."""

from __future__ import annotations

import click


class GroupWithDefault(click.Group):
    """`searchkit GROUP ...` is `searchkit GROUP COMMAND ...`, of the command that `default` says."""

    def default(self, args: list[str]) -> str:
        """The command that is meant by arguments which name none."""
        return "run"

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the command named."""
        return super().resolve_command(ctx, self._named(args))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; options before the first argument belong to the command, not to the group."""
        return super().parse_args(ctx, self._named(args))

    def _named(self, args: list[str]) -> list[str]:
        if not args or args[0] in (*self.commands, "-h", "--help"):
            return args
        return [self.default(args), *args]
