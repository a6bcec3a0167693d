"""Log lines as JSON: a constant message and ids; no request bodies, no exception values."""

import json
import logging
from datetime import UTC, datetime

# Attributes every LogRecord has; whatever else is on a record came through `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_ALLOWED_TYPES = (str, int, float, bool, type(None))


class JsonFormatter(logging.Formatter):
    """One JSON object a line. An exception is named by its type and place, never by its values,
    because a value may be clinical content."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            key: value
            for key, value in vars(record).items()
            if key not in _STANDARD and isinstance(value, _ALLOWED_TYPES)
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__qualname__
            trace = record.exc_info[2]
            places = []
            while trace is not None:
                code = trace.tb_frame.f_code
                places.append(f"{code.co_name}:{trace.tb_lineno}")
                trace = trace.tb_next
            line["trace"] = " > ".join(places[-8:])
        return json.dumps(line, ensure_ascii=False)


class NotAnIncident(logging.Filter):
    """Drops the lines about answers that are meant: a refusal, or `/readyz` saying "not yet" (503).
    An error of ours (500) stays."""

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", 500)
        return status >= 500 and status != 503
