"""Work in shards gives what one run gives, by the scripts of tools/examples: joined, under Snakemake, and in a Slurm array whose
tasks are requeued."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import tensors
from program import GOLDEN, PERFORMER, DeviceTest, main

EXAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "tools", "examples")
MODEL = os.path.join(GOLDEN, "models", "mlm-learned-relu")
TILE = ["--set", "compute.matmul=tile"]
# Seven records, so that shards differ in size; ids of different lengths, one of them twice.
FASTA = "".join(f">{name}\n{'MKVLATGIWE' * (1 + i % 3)}\n" for i, name in enumerate(["a", "bb", "a", "long/id with", "ünal", "e", "f"]))


class Pipelines(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("in.fa", FASTA)
        os.mkdir(self.path("bin"))
        os.symlink(PERFORMER, self.path("bin/performer"))
        self.env = {**os.environ, "PATH": self.path("bin") + ":" + os.environ["PATH"]}

    def run_script(self, *command, **how):
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, env={**self.env, **how})

    def join(self, out, *shards):
        done = self.run_script(sys.executable, "-B", os.path.join(EXAMPLES, "join.py"), *shards, "-o", out)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def in_shards(self, name, ending, *arguments, to_stdout=False):
        """(one run's file, the joined one)"""
        outputs = [f"whole{ending}", *(f"part-{i}{ending}" for i in (1, 2, 3))]
        for i, output in enumerate(outputs):
            given = [name, MODEL, "in.fa", *arguments, *TILE, *(["--shard", f"{i}/3"] if i else [])]
            if to_stdout:
                self.write(output, self.succeeds(*given))
            else:
                self.succeeds(*given, "-o", output)
        self.join("joined" + ending, *outputs[1:])
        return self.path("whole" + ending), self.path("joined" + ending)

    def test_tables_are_equal_to_the_byte(self):
        for arguments, how in ((("score",), {"to_stdout": True}), (("embed",), {}), (("embed", "--layers", "0,-1"), {})):
            whole, joined = self.in_shards(arguments[0], ".tsv", *arguments[1:], **how)
            self.assertEqual(self.read(joined), self.read(whole))
            self.assertEqual(len(self.read(whole).splitlines()), 15 if "--layers" in arguments else 8)

    def test_tensors_are_equal_to_the_bit_and_in_the_same_order(self):
        for name, arguments in (("embed", ()), ("embed", ("--layers", "0,-1")), ("embed", ("--pool", "none")), ("logits", ())):
            whole, joined = map(tensors.npz, self.in_shards(name, ".npz", *arguments))
            self.assertEqual(list(joined.items()), list(whole.items()))
            whole, joined = map(tensors.safetensors, self.in_shards(name, ".safetensors", *arguments))
            self.assertEqual(list(joined[0].items()), list(whole[0].items()))
            self.assertEqual(joined[1], whole[1])

    def test_directories_of_parts_become_the_file_of_one_run(self):
        for arguments in ((), ("--pool", "none"), ("--layers", "0,-1")):
            for kind, read in (("npz", tensors.npz), ("safetensors", tensors.safetensors)):
                self.succeeds("embed", MODEL, "in.fa", "-o", f"whole.{kind}", *arguments, *TILE)
                parts = ["embed", MODEL, "in.fa", *arguments, *TILE, "--part-size", "2", "--part-format", kind]
                for folders in (["parts"], ["parts-1", "parts-2", "parts-3"]):
                    for i, folder in enumerate(folders, 1):
                        shutil.rmtree(self.path(folder), ignore_errors=True)
                        self.succeeds(*parts, "--shard", f"{i}/{len(folders)}", "-o", folder)
                    self.join(f"joined.{kind}", *folders)
                    self.assertEqual(read(self.path(f"joined.{kind}")), read(self.path(f"whole.{kind}")))

    def test_parts_that_do_not_belong_together_are_named(self):
        other = os.path.join(GOLDEN, "models", "clm-none-mixed-elu1")
        for model, folder in ((MODEL, "a"), (other, "b")):
            self.succeeds("embed", model, "in.fa", "-o", folder, "--part-size", "2", "--part-format", "npz")
        def says(text, *shards):
            done = self.run_script(sys.executable, "-B", os.path.join(EXAMPLES, "join.py"), *shards, "-o", "x.npz")
            self.assertEqual(done.returncode, 1)
            self.assertIn(text, done.stderr)
            self.assertFalse(os.path.exists(self.path("x.npz")))
        says("b: made by another model than a", "a", "b")
        self.write("a/part-00001.npz", "cut")
        says("a/part-00001.npz: expected a file of", "a")
        os.remove(self.path("a/manifest.json"))
        says("a: holds no manifest.json", "a")
        self.write("b/manifest.json", "{}")
        says("b/manifest.json: is not that of", "b")

    def test_shards_that_are_missing_or_out_of_order_are_noticed(self):
        self.in_shards("embed", ".npz")
        for shards in (("part-2.npz", "part-1.npz", "part-3.npz"), ("part-1.npz", "whole.npz")):
            done = self.run_script(sys.executable, "-B", os.path.join(EXAMPLES, "join.py"), *shards, "-o", "x.npz")
            self.assertEqual(done.returncode, 1)
            self.assertIn("give all shards", done.stderr)
            self.assertFalse(os.path.exists(self.path("x.npz")))

    def shell_commands(self):
        """What the rules of the Snakefile run, in order, for those who have no Snakemake."""
        with open(os.path.join(EXAMPLES, "Snakefile"), encoding="utf-8") as file:
            shard, join = re.findall(r'^    shell: "([^"]*)"', file.read(), re.M)
        places = {"{input.model}": MODEL, "{input.fasta}": "in.fa", "{SHARDS}": "3", "{threads}": "1", "{HERE}": EXAMPLES}
        commands = []
        for i in (1, 2, 3):
            commands.append(shard.replace("{output}", f"shards/{i}.npz").replace("{wildcards.shard}", str(i)))
        commands.append(join.replace("{input}", " ".join(f"shards/{i}.npz" for i in (1, 2, 3))).replace("{output}", "embeddings.npz"))
        for place, value in places.items():
            commands = [command.replace(place, value) for command in commands]
        return commands

    def check_joined(self):
        self.succeeds("embed", MODEL, "in.fa", "-o", "whole.npz")
        self.assertEqual(tensors.npz(self.path("embeddings.npz")), tensors.npz(self.path("whole.npz")))

    def test_the_snakefiles_commands_make_the_embeddings(self):
        os.mkdir(self.path("shards"))
        for command in self.shell_commands():
            self.assertNotIn("{", command)
            done = self.run_script("sh", "-c", command)
            self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        self.check_joined()

    def test_snakemake_runs_the_snakefile(self):
        done = self.run_script(self.needs("snakemake", "snakemake"), "--snakefile", os.path.join(EXAMPLES, "Snakefile"), "--cores", "1",
                               "--nolock", "--config", f"model={MODEL}", "fasta=in.fa", "shards=3", XDG_CACHE_HOME=self.path("cache"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_joined()

    def test_the_nextflow_scripts_commands_make_the_embeddings(self):
        # As Nextflow would fill them in; a task has a directory of its own, inputs are links in it.
        with open(os.path.join(EXAMPLES, "embed.nf"), encoding="utf-8") as file:
            embed, join = re.findall(r'"""\n(.*?)    """', file.read(), re.S)
        results, links = self.path("results"), []
        for i in (1, 2, 3):
            os.makedirs(self.path(f"work/{i}"))
            for name, to in (("model", MODEL), ("in.fa", self.path("in.fa"))):
                os.symlink(to, self.path(f"work/{i}/{name}"))
            command = embed
            for place, value in {"${model}": "model", "${fasta}": "in.fa", "${results}": results, "${shard}": str(i),
                                 "${params.shards}": "3", "${task.cpus}": "1"}.items():
                command = command.replace(place, value)
            self.assertNotIn("${", command)
            done = subprocess.run(["bash", "-eu", "-c", command], cwd=self.path(f"work/{i}"), env=self.env, capture_output=True, text=True,
                                  check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), command)
            links.append(self.path(f"work/{i}/shard-{i}.npz"))
        done = self.run_script("bash", "-eu", "-c", join.replace("${projectDir}", EXAMPLES).replace("${shards}", " ".join(links)))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.check_joined()

    def test_the_nextflow_script_can_be_read(self):
        reftrace = self.needs_module("reftrace", "python3-pip, then pip install reftrace")
        path = os.path.join(EXAMPLES, "embed.nf")
        module = reftrace.Module.from_file(path)
        self.assertEqual([(process.name, process.unknowns) for process in module.processes], [("EMBED", []), ("JOIN", [])])
        self.assertEqual({param.name for param in module.params}, {"shards", "results", "model", "fasta"})
        with open(path, encoding="utf-8") as file:
            self.write("twin.nf", file.read().rstrip().removesuffix("}"))
        self.assertIsInstance(reftrace.Module.from_file(self.path("twin.nf")), reftrace.ParseError)

    def slurm(self, i):
        """The task's environment, with a scontrol that notes what it is asked for."""
        with open(self.path("bin/scontrol"), "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\necho "$@" >> requeued\n')
        os.chmod(self.path("bin/scontrol"), 0o755)
        os.makedirs(self.path("shards"), exist_ok=True)
        return {**self.env, "SLURM_ARRAY_TASK_ID": str(i), "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_JOB_ID": "77",
                "PERFORMER_THREADS": "1"}

    def test_a_slurm_task_that_is_stopped_is_requeued_and_goes_on(self):
        self.write("in.fa", "".join(f">s{i}\n{'MKVLATGIWE' * (1 + i % 9)}\n" for i in range(600)))
        script = ["bash", os.path.join(EXAMPLES, "embed.slurm"), MODEL, "in.fa"]
        task = subprocess.Popen(script, cwd=self.folder, env=self.slurm(1), stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        while task.poll() is None and not os.path.exists(self.path("shards/1.npz.partial")) and time.monotonic() < deadline:
            time.sleep(0.001)
        task.send_signal(signal.SIGTERM)
        _, error = task.communicate(timeout=60)
        if task.returncode == 5:  # else it was done before the signal came
            self.assertIn("go on with --resume", error)
            self.assertEqual(self.read("requeued"), "requeue 77_1\n")
        else:
            self.assertEqual(task.returncode, 0, error)
        for i in (1, 2, 3):
            done = subprocess.run(script, cwd=self.folder, env=self.slurm(i), capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.join("embeddings.npz", *(f"shards/{i}.npz" for i in (1, 2, 3)))
        self.check_joined()

    def test_a_slurm_task_is_requeued_for_exit_code_5_alone(self):
        os.remove(self.path("bin/performer"))
        for code, requeued in ((0, ""), (3, ""), (5, "requeue 77_2\n")):
            with open(self.path("bin/performer"), "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\nexit {code}\n")
            os.chmod(self.path("bin/performer"), 0o755)
            self.write("requeued", "")
            done = subprocess.run(["bash", os.path.join(EXAMPLES, "embed.slurm"), MODEL, "in.fa"], cwd=self.folder,
                                  env=self.slurm(2), capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, self.read("requeued")), (code, requeued))


if __name__ == "__main__":
    main()
