"""Which identity answers at which node of Flower's: asked once a run, signed, so that no node can be another client."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated

import msgspec
from flwr.app import Context

from securefl.crypto import CryptoError, verify
from securefl.engine.flower.carriage import Envelope
from securefl.engine.flower.home import Home
from securefl.engine.flower.post import Post, Reply
from securefl.errors import ConfigurationError, MessageError
from securefl.transcript import Label
from securefl.wire import VERSION, Bytes32, Bytes64, Codec, Message

_LOG = logging.getLogger(__name__)


class Enrolment(Message, frozen=True, tag=40):
    """A node's answer: its identity, signed for this node and the server's nonce, and whether it has a store."""

    identity: Bytes32
    deployed: bool
    seat: Annotated[int, msgspec.Meta(ge=-1, le=1 << 40)]
    """Flower's `partition-id` of the node, where data is dealt out by it; -1 without."""
    signature: Bytes64


_codec: Codec[Enrolment] = Codec(Enrolment, max_bytes=1024)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Who can be invited: by identity key, the node. `refused`: by node, why it cannot."""

    nodes: dict[bytes, int] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    seats: dict[int, int] = field(default_factory=dict)
    """By `partition-id`, the node; the first one if two nodes have the same."""
    simulated: bool = False
    """Whether no node has a store: then the registry is what the server says."""

    def chosen(self, nodes: Collection[int], least: int, most: int) -> dict[bytes, int]:
        """The enrolled ones of `nodes`, by identity; `ConfigurationError` unless there are `least` to `most`."""
        chosen = {name: node for name, node in sorted(self.nodes.items()) if node in nodes}
        if not least <= len(chosen) <= most:
            why = next((f"; one of the others: {reason}" for node, reason in self.refused.items() if node in nodes), "")
            raise ConfigurationError(
                f"nodes: {len(chosen)} have an identity that counts; {least} to {most} can take part{why}"
            )
        return chosen

    def believed(self, cohort: Iterable[bytes]) -> bytes:
        """What simulated clients are told of a registry; deployed ones have their own, and are told nothing."""
        return b"".join(sorted(cohort)) if self.simulated else b""


def enrol_here(own: Home, envelope: Envelope, context: Context) -> bytes:
    """The client's part: the frame of its answer."""
    if not envelope.frame.startswith(bytes((VERSION,))):
        raise MessageError(f"the server speaks another version of this protocol; this node speaks {VERSION}")
    signature = own.identity.sign(Label.ENROLMENT, envelope.session, context.node_id)
    seat = context.node_config.get("partition-id", -1)
    return _codec.encode(Enrolment(own.identity.public, own.deployed, seat if isinstance(seat, int) else -1, signature))


def enrol(post: Post, nodes: Iterable[int], deadline: float, registry: Collection[bytes] | None = None) -> Enrolled:
    """Ask nodes who they are. Without a `registry` every identity may take part; clients still ask their own."""
    nonce = os.urandom(32)
    envelope = Envelope("enrolment", nonce, bytes((VERSION,)))
    cohort, deployed = Enrolled(), list[bool]()
    for reply in post.ask({node: envelope.content() for node in nodes}, deadline):
        try:
            answer = _checked(reply, nonce, registry, cohort.nodes.keys())
        except MessageError as error:
            cohort.refused[reply.node] = str(error)
            _LOG.warning("a node is not enrolled: %s", error)
        else:
            cohort.nodes[answer.identity] = reply.node
            cohort.seats.setdefault(answer.seat, reply.node)
            deployed.append(answer.deployed)
    return replace(cohort, simulated=not any(deployed))


def _checked(reply: Reply, nonce: bytes, registry: Collection[bytes] | None, present: Collection[bytes]) -> Enrolment:
    frames = reply.frames()
    if len(frames) != 1:
        raise MessageError("an enrolment is one frame")
    answer = _codec.decode(frames[0])
    try:
        verify(answer.identity, answer.signature, Label.ENROLMENT, nonce, reply.node)
    except CryptoError:
        raise MessageError("an enrolment whose signature does not verify") from None
    if registry is not None and answer.identity not in registry:
        raise MessageError("an identity that is not registered")
    if answer.identity in present:
        raise MessageError("an identity that answers at another node as well")
    return answer
