"""A client's state as bytes and back: for engines that run a process per message. Single use, never a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import numpy as np

from securefl.crypto import ChannelKey, CryptoError, Identity, suite
from securefl.errors import ConfigurationError, LocalProtocolError
from securefl.secagg.consistency import ViewSigned
from securefl.secagg.dealing import KeysShared
from securefl.secagg.keys import KeysAdvertised
from securefl.secagg.uploading import InputMasked, Ready

VERSION: Final = 1

_STATES: dict[str, type] = {t.__name__: t for t in (KeysAdvertised, KeysShared, Ready, InputMasked, ViewSigned)}
_SESSION: dict[type, Callable[[Any], bytes]] = {
    KeysAdvertised: lambda state: bytes(state.session),
    KeysShared: lambda state: bytes(state.setup.session),
    Ready: lambda state: bytes(state.keys.setup.session),
    InputMasked: lambda state: bytes(state.ready.keys.setup.session),
    ViewSigned: lambda state: bytes(state.masked.ready.keys.setup.session),
}


def register(state: type, session: Callable[[Any], bytes]) -> None:
    """Add an application's state; `session` gives its session id."""
    _STATES[state.__name__], _SESSION[state] = state, session


def session_of(state: object) -> bytes:
    """The session id of a state that can be suspended; `LocalProtocolError` for any other."""
    if type(state) not in _SESSION:
        raise LocalProtocolError(f"a client in state {type(state).__name__} has nothing to suspend")
    return _SESSION[type(state)](state)


def suspend(state: object, stage: int) -> bytes:
    """Version, kind, stage and content of a state."""
    content = msgspec.msgpack.encode(state, enc_hook=_plain)
    return msgspec.msgpack.encode((VERSION, type(state).__name__, stage, content))


def resume(data: bytes, identity: Identity) -> tuple[object, int]:
    """The state and its stage; `LocalProtocolError` unless `data` is a suspended session of this identity."""

    def rich(kind: Any, value: Any) -> Any:
        if kind is Identity:
            if value != identity.public:
                raise LocalProtocolError("this session was suspended by another identity")
            return identity
        return suite(value[0]).restore(value[1]) if kind is ChannelKey else _array(value)

    version, kind, stage, content = unpack(data, tuple[int, str, int, bytes])
    if version != VERSION or kind not in _STATES:
        raise LocalProtocolError("a suspended session of another version of this program")
    return unpack(content, _STATES[kind], rich), stage


def unpack(data: bytes, kind: Any, rich: Callable[[Any, Any], Any] | None = None) -> Any:
    """What `data` holds of this type; `LocalProtocolError` if nothing. `rich` makes what MessagePack does not know."""
    try:
        return msgspec.msgpack.decode(data, type=kind, dec_hook=rich)
    except (msgspec.MsgspecError, CryptoError, ConfigurationError, ValueError, TypeError, LookupError, RecursionError):
        raise LocalProtocolError("these bytes are no suspended session") from None


def _plain(value: Any) -> Any:
    match value:
        case Identity():
            return value.public
        case ChannelKey():
            return value.suite, value.suspend()
        case np.ndarray():
            return value.dtype.str, value.shape, value.tobytes()
    raise TypeError(f"{type(value).__name__} has no place in a suspended session")


def _array(value: Any) -> np.ndarray[Any, Any]:
    kind, shape, data = value
    return np.frombuffer(data, kind).reshape(shape)
