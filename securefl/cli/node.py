"""``securefl node``: the folder in which a deployed client keeps its identity and its marks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["node"]


def node(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there; never made a second time.")],
    registry: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Identity keys of all clients, a line each: put into the folder."),
    ] = None,
) -> None:
    """Make the folder of a client, or name the identity of one that is there; prints the public identity key.

    Whoever runs the nodes collects these keys in a file of 64 hexadecimal digits a line, and gives it back to every
    node with --registry. The server is no place to get it from.

    [dim]Examples[/]

    [bold]securefl node /var/lib/securefl[/]

    [bold]securefl node /var/lib/securefl --registry everybody.txt[/]
    """
    from securefl.store import NodeStore, read_registry, write_registry

    keys = None if registry is None else read_registry(registry)
    if not (folder / "stores.json").exists():
        NodeStore.create(folder)
    with NodeStore(folder) as store:
        if keys is not None:
            write_registry(folder / "registry.txt", keys)
        typer.echo(store.identity.public.hex())
