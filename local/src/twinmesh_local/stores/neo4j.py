"""Real Neo4j 5.26: at an address, or started from its Maven artefacts by a JDK."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twinmesh_local.probes import tcp_open
from twinmesh_local.programs import Program
from twinmesh_sdk.core.errors import PreconditionFailedError, UnavailableError

VERSION: Final = "5.26.20"
USER: Final = "neo4j"
DATABASE: Final = "neo4j"
HEAP: Final = "512m"
FETCH_S: Final = 900.0
COMPILE_S: Final = 120.0
HOW_TO_GET: Final = (
    "needs a real Neo4j: set NEO4J_URI, NEO4J_USER and NEO4J_PASSWORD, or install a JDK and Maven"
)
LAUNCHER: Final = Path(__file__).parent / "neo4j_server" / "Launcher.java"

_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>neo4j-for-tests</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.neo4j</groupId><artifactId>neo4j</artifactId>
      <version>{VERSION}</version></dependency>
    <dependency><groupId>org.neo4j.app</groupId><artifactId>neo4j-server</artifactId>
      <version>{VERSION}</version></dependency>
  </dependencies>
</project>
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a Neo4j is found, and how to log in."""

    uri: str
    user: str
    password: str
    database: str = DATABASE


def given() -> Address | None:
    """Return the server that NEO4J_URI names, with its _USER, _PASSWORD and _DATABASE."""
    environment = os.environ  # noqa: TID251 - the driver's customary names, read for tests and demos
    if not (uri := environment.get("NEO4J_URI")):
        return None
    return Address(
        uri=uri,
        user=environment.get("NEO4J_USER", USER),
        password=environment.get("NEO4J_PASSWORD", ""),
        database=environment.get("NEO4J_DATABASE", DATABASE),
    )


def can_start() -> bool:
    """Tell whether this machine has what starting one needs."""
    return all(map(shutil.which, ("java", "javac", "mvn")))


def cache() -> Path:
    """Return where the jars are kept, once per user."""
    base = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 - the desktop's convention
    return (Path(base) if base else Path.home() / ".cache") / "twinmesh" / f"neo4j-{VERSION}"


def fetch() -> Path:
    """Return the folder with the jars (114 MB), resolving them with Maven when they are not there.

    Raises:
        PreconditionFailedError: There is no JDK or no Maven.
        UnavailableError: Maven could not resolve them.
    """
    folder = cache()
    lib = folder / "lib"
    if not can_start():
        raise PreconditionFailedError("Neo4j cannot be started here", hint=HOW_TO_GET)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if lib.exists():
            _compile(folder)
            return lib
        (folder / "pom.xml").write_text(_POM)
        fresh = folder / "lib.part"
        shutil.rmtree(fresh, ignore_errors=True)
        done = subprocess.run(
            ["mvn", "-B", "-q", "-f", str(folder / "pom.xml"), "dependency:copy-dependencies",
             "-DincludeScope=runtime", f"-DoutputDirectory={fresh}"],
            capture_output=True, text=True, check=False, timeout=FETCH_S,
        )  # fmt: skip
        if done.returncode != 0:
            raise UnavailableError(f"Maven: {(done.stdout + done.stderr)[-1000:]}")
        fresh.rename(lib)
        _compile(folder)
    return lib


def _compile(folder: Path) -> None:
    """Compile the launcher, once for each of its versions.

    Raises:
        UnavailableError: It does not compile.
    """
    if _classes(folder).exists():
        return
    fresh = folder / "classes.part"
    shutil.rmtree(fresh, ignore_errors=True)
    command = ["javac", "-cp", f"{folder}/lib/*", "-d", str(fresh), str(LAUNCHER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMPILE_S)
    if done.returncode != 0:
        raise UnavailableError(f"javac: {(done.stdout + done.stderr)[-1000:]}")
    fresh.rename(_classes(folder))


def _classes(folder: Path) -> Path:
    return folder / f"classes-{hashlib.sha256(LAUNCHER.read_bytes()).hexdigest()[:12]}"


class Neo4jStore:
    """A server in a folder of its own, with authentication, on loopback only."""

    def __init__(self, folder: Path, *, port: int, password: str) -> None:
        self.folder = folder
        self.port = port
        self.password = password

    @property
    def uri(self) -> str:
        """Address for the neo4j driver."""
        return f"bolt://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Fetch the jars where they are missing."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fetch()

    def program(self) -> Program:
        """Return how it is started; `prepare` comes first."""
        marker = self.folder / "ready"
        marker.unlink(missing_ok=True)

        def ready() -> None:
            if not marker.exists():
                raise UnavailableError("still starting")
            tcp_open(self.port)

        java = shutil.which("java")
        if java is None:
            raise PreconditionFailedError("Neo4j cannot be started here", hint=HOW_TO_GET)
        return Program(
            name="graph",
            argv=(
                java, f"-Xmx{HEAP}", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError",
                "-XX:TieredStopAtLevel=1", "-cp", f"{_classes(cache())}:{cache()}/lib/*",
                "Launcher", str(self.folder), str(self.port),
            ),
            cwd=self.folder,
            env={"NEO4J_PASSWORD": self.password},
            ready=ready,
            ready_s=180.0,
            stop_grace_s=20.0,
        )  # fmt: skip
