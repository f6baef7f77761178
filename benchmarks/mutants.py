"""Break the package in many small ways, one at a time, and count how many of them the tests notice.

``make mutants`` runs this file; it takes an hour or two. First the tests run once with coverage, which tells the tests
that reach each line. Then a seeded sample of changes is drawn from those that cosmic-ray knows (a sign, a comparison, a
number, a condition, a decorator), and each is made in a copy of the project, where the tests of its line run until one
fails. What no test notices is listed with its line: it is either the same program, or a hole.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).parents[1]
#: Not the code that explains, measures, reads graphs, runs models, resizes or batches.
LEFT_OUT = {"__init__", "_version", "progress", "registry", "results"}
LEFT_OUT_FOLDERS = {"cli", "demo", "plotting"}
#: Changes that mean nothing for numbers and arrays, so that any test fails: to count them would flatter the tests.
MEANINGLESS = re.compile(r"_(RShift|LShift|BitOr|BitAnd|BitXor|Is|IsNot)$")
#: As many seconds of tests are run for a change: of those that reach its line, the shortest of each file first.
BUDGET = 120.0


@dataclass(frozen=True)
class Mutant:
    """A change of one place of one file: a cosmic-ray operator and the occurrence that it changes."""

    file: str
    line: int
    operator: str
    occurrence: int

    def source(self, project: Path) -> tuple[str, str]:
        """Return the file as it is, and changed."""
        from cosmic_ray.mutating import MutationVisitor
        from cosmic_ray.plugins import get_operator

        before = (project / self.file).read_text(encoding="utf-8")
        return before, MutationVisitor.mutate_code(before, get_operator(self.operator)(), self.occurrence)

    def change(self, project: Path) -> str:
        """Return the lines that differ."""
        before, after = (text.splitlines() for text in self.source(project))
        return "\n".join(line for line in difflib.unified_diff(before, after, n=0, lineterm="") if line[:2] != "@@")


def statements(tree: ast.AST) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of each statement; of one with a body, those of its head."""
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno
            yield node.lineno, max(node.lineno, last or node.lineno)


def annotations(tree: ast.AST) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where each annotation begins and ends: they run, but mean nothing."""
    for node in ast.walk(tree):
        for one in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if one is not None:
                yield (one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)


def every_mutant(project: Path) -> dict[tuple[str, tuple[int, int], str], list[Mutant]]:
    """Return all changes by their place and kind, such as the comparison at a line and column."""
    work_items = import_module("cosmic_ray.commands.init")._all_work_items
    found = defaultdict(list)
    for path in sorted((project / "tfcam").rglob("*.py")):
        file = str(path.relative_to(project))
        if path.stem in LEFT_OUT or LEFT_OUT_FOLDERS & set(path.relative_to(project).parts):
            continue
        outside = list(annotations(ast.parse(path.read_text(encoding="utf-8"))))
        for item in work_items([path], {}):
            [one] = item.mutations
            typed = any(start <= one.start_pos < end for start, end in outside)
            if not typed and not MEANINGLESS.search(one.operator_name):
                kind = one.operator_name.rpartition("/")[2].partition("_")[0]
                mutant = Mutant(file, one.start_pos[0], one.operator_name, one.occurrence)
                found[file, one.start_pos, kind].append(mutant)
    return found


def is_python(source: str) -> bool:
    """Tell whether a file can be read, which a "not" in the wrong place hinders."""
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def sample(project: Path, count: int, seed: int) -> list[Mutant]:
    """Draw places, and one change of each."""
    places, draw = every_mutant(project), random.Random(seed)
    order = sorted(places)
    draw.shuffle(order)
    drawn = (draw.choice(places[place]) for place in order)
    return list(itertools.islice((one for one in drawn if is_python(one.source(project)[1])), count))


def record(project: Path, output: Path) -> None:
    """Run the tests with coverage, which keeps the tests that reach each line."""
    command = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal", "-m", "not slow"]
    command += [f"--junitxml={output / 'tests.xml'}"]
    command += ["--cov=tfcam", "--cov-branch", "--cov-context=test", "--cov-report=term", "-p", "no:cacheprovider"]
    environment = os.environ | {"COVERAGE_FILE": str(output / "coverage"), "PYTHONPATH": str(project)}
    with (output / "tests.txt").open("w", encoding="utf-8") as said:
        subprocess.run(command, cwd=project, env=environment, check=True, stdout=said)


class Selection:
    """The tests to run for a line: those that reach it, the shortest of each file first."""

    def __init__(self, project: Path, output: Path) -> None:
        from coverage import CoverageData

        self._project, self._data = project, CoverageData(str(output / "coverage"))
        self._data.read()
        self._files = {Path(path).as_posix().rpartition("/tfcam/")[2]: path for path in self._data.measured_files()}
        self._seconds = {}
        for case in ElementTree.parse(output / "tests.xml").iter("testcase"):
            self._seconds[case.get("classname"), case.get("name")] = float(case.get("time", 1.0))

    def tests(self, mutant: Mutant) -> tuple[list[str], float]:
        """Return the names of tests, and how many seconds they take."""
        tree = ast.parse((self._project / mutant.file).read_text(encoding="utf-8"))
        around = [lines for lines in statements(tree) if lines[0] <= mutant.line <= lines[1]]
        first, last = min(around, key=lambda lines: lines[1] - lines[0], default=(mutant.line, mutant.line))
        reached = self._data.contexts_by_lineno(self._files.get(mutant.file.partition("/")[2], ""))
        # What runs when the file is imported, such as a constant or a default, is held by the tests of what uses it.
        functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        around = [(one.lineno, one.end_lineno or one.lineno) for one in functions]
        wider = sorted(
            (lines for lines in around if lines[0] <= first <= lines[1]), key=lambda lines: lines[1] - lines[0]
        )
        for start, end in ((first, last), *wider, (1, max(reached, default=1))):
            names = {name for line in range(start, end + 1) for name in reached.get(line, ()) if "|" in name}
            if names:
                break
        by_file = defaultdict(list)
        for test in {name.rpartition("|")[0] for name in names}:
            by_file[test.partition("::")[0]].append((self._of(test), test))
        turns = sorted(
            (turn, seconds, test) for tests in by_file.values() for turn, (seconds, test) in enumerate(sorted(tests))
        )
        chosen, total = [], 0.0
        for _, seconds, test in turns:
            if total + seconds <= BUDGET:
                chosen.append(test)
                total += seconds
        return chosen, total

    def _of(self, test: str) -> float:
        file, _, name = test.partition("::")
        return self._seconds.get((file.removesuffix(".py").replace("/", "."), name), 1.0)


#: Tests run in forks of a process that has TensorFlow at hand, but not yet the package.
SERVER = """
import json, os, sys
sys.dont_write_bytecode = True
import keras, matplotlib.pyplot, pytest, scipy.ndimage, tensorflow, tf_keras
sys.path.insert(0, os.getcwd())
for line in sys.stdin:
    arguments, log = json.loads(line)
    child = os.fork()
    if not child:
        os.setpgrp()
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1), os.dup2(file, 2)
        os._exit(pytest.main(arguments))
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Copy:
    """A copy of the project, in which one change at a time is made and tested."""

    def __init__(self, project: Path, folder: Path) -> None:
        ignored = shutil.ignore_patterns(".git", ".venv*", "output", "__pycache__", "*.egg-info", "build", "dist")
        shutil.copytree(project, folder, ignore=ignored)
        self._folder, threads = folder, {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"}
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment = os.environ | threads | quiet | {"PYTHONPATH": str(folder)}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._server = subprocess.Popen([sys.executable, "-c", SERVER], cwd=folder, env=environment, **pipes)

    def outcome(self, mutant: Mutant, tests: list[str], seconds: float, log: Path) -> str:
        """Return whether a test noticed the change: "caught", "alive", or "hangs"."""
        before, after = mutant.source(self._folder)
        options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=line"]
        try:
            (self._folder / mutant.file).write_text(after, encoding="utf-8")
            self._server.stdin.write(json.dumps([[*options, *tests], str(log)]) + "\n")
            self._server.stdin.flush()
            child = int(self._server.stdout.readline())
            timer = subprocess.Popen(["sh", "-c", f"sleep {60 + 5 * seconds:.0f}; kill -9 -{child}"], process_group=0)
            code = int(self._server.stdout.readline())
            hung = timer.poll() is not None or code == -9
            if timer.poll() is None:
                os.killpg(timer.pid, 9)
            timer.wait()
        finally:
            (self._folder / mutant.file).write_text(before, encoding="utf-8")
        if "ERROR: not found" in log.read_text(encoding="utf-8"):
            raise RuntimeError(f"Tests that were recorded are no more: remove {log.parent}, and begin anew.")
        return "hangs" if hung else "alive" if code == 0 else "caught"

    def close(self) -> None:
        """End the process that was kept for the tests."""
        self._server.stdin.close()
        self._server.wait()


def main() -> None:
    """Print each change with its outcome, and what no test noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=160, help="changes to draw")
    parser.add_argument("--seed", type=int, default=35)
    parser.add_argument("--project", type=Path, default=ROOT, help="the project to change, such as one of another day")
    parser.add_argument("--output", type=Path, default=ROOT / "output/mutants", help="where what is found is kept")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if not (options.output / "coverage").exists():
        record(options.project, options.output)
    selection, results = Selection(options.project, options.output), options.output / "results.jsonl"
    known = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    mutants = sample(options.project, options.count, options.seed)
    done = {tuple(one["mutant"].values()): one for one in known}
    folder = Path(tempfile.mkdtemp())
    copies: SimpleQueue[Copy] = SimpleQueue()
    for number in range(2):
        copies.put(Copy(options.project, folder / str(number)))

    def run(number: int, mutant: Mutant) -> None:
        tests, seconds = selection.tests(mutant)
        copy, log = copies.get(), options.output / f"{number}.txt"
        outcome = copy.outcome(mutant, tests, seconds, log) if tests else "unreached"
        copies.put(copy)
        found = {"mutant": asdict(mutant), "outcome": outcome, "tests": len(tests), "number": number}
        done[tuple(found["mutant"].values())] = found
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        print(number, outcome, mutant.file, mutant.line, mutant.operator, f"{len(tests)} tests", flush=True)

    with ThreadPoolExecutor(2) as pool:
        new = [(n, one) for n, one in enumerate(mutants) if tuple(asdict(one).values()) not in done]
        list(pool.map(lambda one: run(*one), new))
    while not copies.empty():
        copies.get().close()
    shutil.rmtree(folder)
    outcomes = [done[tuple(asdict(one).values())]["outcome"] for one in mutants]
    for number, (one, outcome) in enumerate(zip(mutants, outcomes, strict=True)):
        if outcome in ("alive", "unreached"):
            print(f"\n{number} {outcome}: {one.file}, line {one.line}, {one.operator}\n{one.change(options.project)}")
    noticed = sum(outcome in ("caught", "hangs") for outcome in outcomes)
    print(f"\n{noticed} of {len(outcomes)} changes were noticed ({noticed / len(outcomes):.3f}).")


if __name__ == "__main__":
    main()
