"""Runs of a command that are killed at a call of our choice that changes a file, for tests of --resume."""
import os

SHIM = os.environ["PERFORMER_FAULTS"]


def contents(folder):
    """{name: bytes} of all files below."""
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(at, name), "rb") as file:
                found[os.path.relpath(os.path.join(at, name), folder)] = file.read()
    return found


def changes(test, below, *command):
    """Names of the calls that change files in the folder `below`, in their order."""
    log = test.path("calls.log")
    test.succeeds(*command, env={"LD_PRELOAD": SHIM, "FAULT_KIND": "kill", "FAULT_AT": "0", "FAULT_LOG": log,
                                 "FAULT_BELOW": os.path.realpath(test.path(below))})
    with open(log, encoding="utf-8") as file:
        return file.read().split()


def places(calls, each):
    """Each kind of call where it comes first and last, and every `each`-th."""
    ends = {f(n for n, name in enumerate(calls, 1) if name == kind) for kind in set(calls) for f in (min, max)}
    return sorted(ends | set(range(2, len(calls), each)))


def kill_at(test, below, at, *command):
    """The command dies before its at-th change. Its exit code."""
    return test.run_program(*command, env={"LD_PRELOAD": SHIM, "FAULT_KIND": "kill", "FAULT_AT": str(at),
                                           "FAULT_BELOW": os.path.realpath(test.path(below))})[0]
