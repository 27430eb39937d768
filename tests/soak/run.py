"""Three servers that are restarted, changed, killed and cut off under clients: what ``make soak`` prints.

It needs the cluster of KUBECONFIG and the images NATSMITH_IMAGE, NATS_IMAGE and, for the server's upgrade,
NATS_IMAGE_BEFORE. The same operations are done to the chart and to a StatefulSet without what the chart does for a
restart. The exit code is 1 if the chart broke a truth; `--only erase` breaks one on purpose, and has to say so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Run as a script, it has to find the other tests' modules itself.
sys.path[:0] = [str(ROOT / "tests")]

from natsmith.clock import clock  # noqa: E402  (the path is only known by now)
from soak.charts import chart  # noqa: E402
from soak.operations import OPERATIONS, Images  # noqa: E402
from soak.place import Place, placed  # noqa: E402
from soak.table import Row, broken, table  # noqa: E402

KEPT = ROOT / ".cache" / "soak"
"""Where the logs of the servers are that broke a truth."""


def play(place: Place, name: str, images: Images) -> Row:
    """Let one operation happen, and return what clients were told."""
    place.clients.ask("begin")
    began = clock()
    OPERATIONS[name].run(place, images)
    seconds = clock() - began
    return Row(operation=name, seconds=seconds, found=place.clients.ask("end"))


SMALL_DISK = ("nats.jetstream.storage.persistent=false", "nats.jetstream.storage.size=1Gi")


def rows(servers: str, folder: Path, names: list[str], images: Images, given: argparse.Namespace) -> list[Row]:
    """Install *servers*, and let the operations happen one after the other."""
    done = []
    image = images.before if "version" in names else images.after
    for small_disk in (False, True):
        some = [each for each in names if OPERATIONS[each].small_disk == small_disk]
        if not some:
            continue
        made = chart(folder / str(small_disk), tuned=servers == "ours", small_disk=small_disk)
        sets = [*given.sets, *(SMALL_DISK if small_disk else ())]
        with placed(made, folder, image=image, size=given.size, fill=given.fill, sets=sets) as place:
            for name in some:
                row = play(place, name, images)
                print(f"{name}: {json.dumps(row.found)}", file=sys.stderr, flush=True)
                if servers == "ours" and broken(row):
                    place.keep(KEPT, name)
                done.append(row)
    return done


def main() -> int:
    """Play what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[*OPERATIONS], help="just this operation; may be repeated")
    parser.add_argument("--servers", action="append", choices=["ours", "untuned"], help="just these servers")
    parser.add_argument("--repeat", type=int, default=1, help="how often each operation happens (1)")
    parser.add_argument("--size", type=int, default=256, help="bytes of each value (256)")
    parser.add_argument("--fill", type=int, default=1024, help="MiB that an empty server has to get (1024)")
    parser.add_argument(
        "--set", action="append", default=[], dest="sets", help="a value of the chart, as Helm takes it"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    after = os.environ.setdefault("NATS_IMAGE", "nats:2.15.1-alpine")
    os.environ.setdefault("NATSMITH_IMAGE", "natsmith/natsmith:dev")
    images = Images(before=os.environ.get("NATS_IMAGE_BEFORE", ""), after=after)
    usual = [name for name, each in OPERATIONS.items() if not each.sabotage]
    names = [each for each in OPERATIONS if each in (given.only or usual) for _ in range(given.repeat)]
    if "version" in names and not images.before:
        if given.only:
            parser.error("the operation version needs NATS_IMAGE_BEFORE, the image that is upgraded to NATS_IMAGE")
        names = [each for each in names if each != "version"]
    shutil.rmtree(KEPT, ignore_errors=True)
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for servers in given.servers or ["ours", "untuned"]:
            folder = Path(temporary) / servers
            folder.mkdir()
            some = [each for each in names if servers == "ours" or not OPERATIONS[each].alike]
            found[servers] = rows(servers, folder, some, images, given)
    print(table(found))
    wrong = [sentence for row in found.get("ours", []) for sentence in broken(row)]
    for sentence in wrong:
        print(f"FAILED {sentence}")
    if wrong:
        print(f"What the servers wrote is in {KEPT.relative_to(ROOT)}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
