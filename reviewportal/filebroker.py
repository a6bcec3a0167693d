"""kombu's file broker with messages that appear whole.

kombu 5.7 creates a message's file under its final name and writes it afterwards; a worker that polls
in between takes an empty file, cannot read it and ends. Here a message is written under another name
and renamed, which POSIX does at once.
"""

import uuid
from pathlib import Path
from time import monotonic
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Puts each message by one rename."""

    # kombu's own two names for the second parameter contradict each other.
    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # see above
        folder = Path(self.data_folder_out)
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        # Hidden and without the queue's ending: `_get` never looks at it.
        unfinished = folder / f".{name}.part"
        try:
            unfinished.write_bytes(str_to_bytes(dumps(payload)))
            unfinished.replace(folder / name)
        except OSError as error:
            raise ChannelError("A message cannot be added to the broker's folder.") from error

    def get_table(self, exchange: str) -> list[Any]:
        """The queues of an exchange; none while another process is just writing them down."""
        try:
            return super().get_table(exchange)
        except ValueError:
            return []


class Transport(filesystem.Transport):
    Channel = Channel
