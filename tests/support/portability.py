"""What each further OpenCL implementation must pass, through the one that is set up (tests/support/on-device): the device list,
the program's self-test, the golden cases and a short training. What time does not allow is named, and is no failure.

usage: portability.py NAME BUILD SECONDS
"""
import os
import subprocess
import sys
import tempfile
import time

import count

SIMULATORS = ("oclgrind", "rusticl", "rusticl-gpu")  # get through small shapes only
# In this order: what covers most per second first.
PROGRAMS = ("layer_norm", "prefix_sum", "softmax_attention", "favor_golden", "favor_causal_golden", "api_model", "embedding", "activation",
            "residual", "rotary", "cross_entropy", "global_norm", "adamw", "column_sum", "pool", "matmul")


def tests(build):
    """(name, command) of what is there to run."""
    performer = os.path.join(build, "tools", "performer")
    yield "performer devices", [performer, "devices"]
    if "selftest" in subprocess.run([performer, "--help"], capture_output=True, text=True, check=True).stdout:
        yield "performer selftest", [performer, "selftest"]
    here = os.path.dirname(os.path.abspath(__file__))
    train = ("performer train", [sys.executable, "-B", os.path.join(here, "..", "tools", "test_train.py"), performer, "golden"])
    programs = [(name, os.path.join(build, "tests", "test_" + name)) for name in PROGRAMS]
    programs = [(name, ["stdbuf", "-oL", path]) for name, path in programs if os.path.exists(path)]
    yield from [train, *programs]


def run(command, seconds, environment):
    """(output so far, exit code or None when time was up)."""
    with tempfile.TemporaryFile() as output:
        program = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        try:
            code = program.wait(max(1, seconds))
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
            code = None
        output.seek(0)
        return output.read().decode("utf-8", "replace"), code


def main(name, build, seconds):
    until = time.monotonic() + float(seconds)
    races = tempfile.NamedTemporaryFile()
    environment = {**os.environ, "CK_FORK": "no", "OCLGRIND_DATA_RACES": "1", "OCLGRIND_LOG": races.name}
    if name in SIMULATORS:
        environment["PERFORMER_TEST_SMALL"] = "1"
        environment["PERFORMER_SHAPE"] = "narrow"  # as on a GPU
    passed = failed = 0
    unfinished = []
    for test, command in tests(os.path.abspath(build)):
        if time.monotonic() > until:
            unfinished.append(test)
            continue
        small = {"PERFORMER_TEST_SMALL": "1"} if "golden" in test else {}  # a case for each kernel and direction
        said, code = run(command, (until - time.monotonic()) / 2, {**environment, **small})  # so that each has a chance
        good, bad, _ = count.count({"result": "OK" if code in (0, None) else "FAIL", "stdout": said})
        if code is None:
            unfinished.append(test)
            good -= not bad and "\nok " not in "\n" + said  # cut off before its first case
        passed, failed = passed + good, failed + bad
        if bad:
            print(f"failed: {test}\n" + "\n".join(line for line in said.splitlines()[-40:] if not line.startswith("ok ")))
    if unfinished:
        print(f"not finished within {seconds} s: {', '.join(unfinished)}")
    with open(races.name, encoding="utf-8", errors="replace") as log:
        report = log.read()
    if report.strip():
        failed += 1
        print("Oclgrind reports:\n" + report[:4000])
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
