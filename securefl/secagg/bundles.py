"""Who dealt a bundle: one signature of the dealer, over the tree of all its bundles, proves each of them by a path.

HPKE's base mode does not say who sealed a box: without this a server could deal in a client's name and read the mask.
"""

from __future__ import annotations

from collections.abc import Mapping

from securefl.crypto import CryptoError, Identity, verify
from securefl.secagg.messages import Bundle, ShareKeys, SignedBundle
from securefl.secagg.setup import SetUp
from securefl.secagg.tree import Tree, root_above
from securefl.transcript import Label, digest


def sign_bundles(setup: SetUp, dealer: int, identity: Identity, bundles: Mapping[int, Bundle]) -> ShareKeys:
    """The dealer's message, from its bundles by holder."""
    root = _tree(setup, dealer, bundles).root
    return ShareKeys(dict(bundles), identity.sign(Label.DEALING, setup.session, setup.root, dealer, root))


def check_bundles(setup: SetUp, dealer: int, identity: bytes, message: ShareKeys) -> dict[int, SignedBundle]:
    """The server's check; `CryptoError` unless `identity` signed exactly these bundles in this set-up.

    Returns by holder what the server shows it.
    """
    for bundle in message.bundles.values():
        _check_hashes(setup, bundle)
    tree = _tree(setup, dealer, message.bundles)
    verify(identity, message.signature, Label.DEALING, setup.session, setup.root, dealer, tree.root)
    return {
        holder: SignedBundle(bundle.box, bundle.hashes, tree.path(place), message.signature)
        for place, (holder, bundle) in enumerate(sorted(message.bundles.items()))
    }


def check_bundle(setup: SetUp, dealer: int, holder: int, identity: bytes, bundle: SignedBundle) -> None:
    """The holder's check; `CryptoError` unless `identity` dealt it this bundle in this set-up."""
    _check_hashes(setup, bundle)
    graph, leaf = setup.graph, _leaf(setup, dealer, holder, bundle)
    root = root_above(leaf, graph.place(dealer, holder), graph.neighbourhood, bundle.path)
    verify(identity, bundle.signature, Label.DEALING, setup.session, setup.root, dealer, root)


def _check_hashes(setup: SetUp, bundle: Bundle) -> None:
    if len(bundle.hashes) != 32 * len(setup.dealt):
        raise CryptoError("the bundle's hashes have the wrong length")


def _tree(setup: SetUp, dealer: int, bundles: Mapping[int, Bundle]) -> Tree:
    """Over the bundles in the order of their holders."""
    return Tree([_leaf(setup, dealer, holder, bundles[holder]) for holder in sorted(bundles)])


def _leaf(setup: SetUp, dealer: int, holder: int, bundle: Bundle) -> bytes:
    return digest(Label.BUNDLE, setup.session, setup.root, dealer, holder, bundle.box, bundle.hashes)
