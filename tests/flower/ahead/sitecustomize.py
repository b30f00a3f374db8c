"""On the path of a Python process whose machine has a wrong clock: all times are an hour ahead."""

import datetime
import time

AHEAD = 3600
_datetime, _time = datetime.datetime, time.time


class _Kind(type):
    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, _datetime)


class _Ahead(_datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> _datetime:
        return _datetime.fromtimestamp(_time() + AHEAD, tz)


datetime.datetime = _Ahead
time.time = lambda: _time() + AHEAD
