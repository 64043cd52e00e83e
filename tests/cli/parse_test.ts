import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { type CommandOptions, OPTIONS } from "../../cli/commands.ts";
import type { RunOptions } from "../../cli/options/run.ts";
import { parseArguments } from "../../cli/parse.ts";

function parse(argv: string[], environment: Record<string, string> = {}) {
  return parseArguments(argv, { environment, colour: false, columns: 100 });
}

function run(argv: string[], environment: Record<string, string> = {}): RunOptions {
  const parsed = parse(["run", ...argv], environment);
  assert.equal(parsed.kind, "command", JSON.stringify(parsed));
  return (parsed as { options: CommandOptions }).options as RunOptions;
}

function refusal(argv: string[], environment: Record<string, string> = {}): string {
  const parsed = parse(argv, environment);
  assert.equal(parsed.kind, "refused", JSON.stringify(parsed));
  return (parsed as { message: string }).message;
}

test("parseArguments() gives the documented defaults of run", () => {
  const options = run(["hello"]);
  assert.equal(options.prompt, "hello");
  assert.equal(options.sparsity, null);
  assert.equal(options.temperature, 0);
  assert.equal(options.topP, 1);
  assert.equal(options.maxTokens, 256);
  assert.equal(options.model, null);
  assert.deepEqual(options.stop, []);
  assert.equal(options.json, false);
});

test("parseArguments() reads sizes, ratios, layouts and repeated flags", () => {
  const options = run([
    ..."--context 4k --sparsity 1/32 --labels 8x4+16x2 --stop a --stop b --top-k=5 --no-tail".split(" "),
    "-",
  ]);
  assert.equal(options.context, 4096);
  assert.equal(options.sparsity, 1 / 32);
  assert.deepEqual(options.labels, { wide: 8, narrow: 16 });
  assert.deepEqual(options.stop, ["a", "b"]);
  assert.equal(options.topK, 5);
  assert.equal(options.noTail, true);
  assert.equal(options.prompt, "-");
  assert.equal(run(["--sparsity", "0.0625"]).sparsity, 1 / 16);
  assert.equal(run(["--", "--not-a-flag"]).prompt, "--not-a-flag");
});

test("parseArguments() reads bench lists", () => {
  const parsed = parse([
    "bench",
    "decode",
    "--contexts",
    "4k,16K,100",
    "--backends",
    "cpu,reference",
    "--csv",
  ]);
  assert.equal(parsed.kind, "command");
  const { options } = parsed as { options: Extract<CommandOptions, { command: "bench" }> };
  assert.deepEqual(options.contexts, [4096, 16384, 100]);
  assert.deepEqual(options.backends, ["cpu", "reference"]);
  assert.equal(options.model, "smollm2-135m");
  assert.equal("calibration" in options, false);
});

test("parseArguments() takes any flag from its variable when the flag is absent", () => {
  const environment = {
    DS_SPARSITY: "1/8",
    DS_MODEL: "a",
    DS_JSON: "1",
    DS_STOP: "x",
    DS_MAX_TOKENS: "1k",
    DS_RAW: "no",
  };
  const options = run(["hi", "--model", "b"], environment);
  assert.equal(options.model, "b");
  assert.equal(options.sparsity, 1 / 8);
  assert.equal(options.json, true);
  assert.equal(options.raw, false);
  assert.deepEqual(options.stop, ["x"]);
  assert.equal(options.maxTokens, 1024);
  assert.equal(run(["hi"], { DS_MODEL: "" }).model, null);
});

test("parseArguments() names the variable when its value is bad", () => {
  assert.match(refusal(["run", "x"], { DS_SPARSITY: "2" }), /DS_SPARSITY must be a ratio above 0/);
  assert.match(refusal(["run", "x"], { DS_JSON: "maybe" }), /DS_JSON must be 1 or 0/);
  assert.equal(run(["x", "--sparsity", "0.5"], { DS_SPARSITY: "2" }).sparsity, 0.5);
});

test("parseArguments() suggests the nearest name when a command, option or value is mistyped", () => {
  assert.match(refusal(["rnu"]), /no such command; did you mean run\?/);
  assert.match(refusal(["calibrte"]), /did you mean calibrate\?/);
  assert.match(refusal(["run", "--tempersture", "1"]), /did you mean --temperature\?/);
  assert.match(refusal(["run", "--spasity=1/8"]), /did you mean --sparsity/);
  assert.match(refusal(["run", "--attention", "dens"]), /did you mean dense\?/);
  assert.match(refusal(["run", "--backend", "gpu"]), /must be auto, cpu, webgpu, cuda or reference/);
  assert.match(refusal(["eval", "perplexity", "--attention", "dense,orcle"]), /did you mean oracle\?/);
  assert.match(refusal(["help", "runn"]), /did you mean run\?/);
  assert.match(refusal(["completions", "bahs"]), /did you mean bash\?/);
});

test("parseArguments() refuses values out of range, each with what would be right", () => {
  for (const value of ["0", "-1", "1.5", "1/0", "0/1", "x", "17/16", "NaN", ""]) {
    assert.match(
      refusal(["run", "x", `--sparsity=${value}`]),
      /--sparsity: must be a ratio above 0 and at most 1/,
      value,
    );
  }
  for (const value of ["0", "-3", "1.5", "four", "1g", "99999999999"]) {
    assert.match(
      refusal(["run", "x", `--max-tokens=${value}`]),
      /--max-tokens: must be a whole number from 1/,
      value,
    );
  }
  assert.match(refusal(["run", "x", "--temperature=NaN"]), /--temperature: must be a number at least 0/);
  assert.match(refusal(["run", "x", "--temperature=-0.1"]), /at least 0/);
  assert.match(refusal(["run", "x", "--top-p=0"]), /above 0 and at most 1/);
  assert.match(refusal(["run", "x", "--min-p=1.1"]), /at least 0 and at most 1/);
  assert.match(refusal(["run", "x", "--labels=7x4"]), /label layout/);
  assert.match(refusal(["run", "x", "y"]), /"y": ds run takes no more words/);
  assert.match(refusal(["run", "--model"]), /--model requires MODEL/);
  assert.match(refusal(["run", "--json", "--json"]), /--json/);
});

test("parseArguments() takes as many threads as processors can serve in turn wherever a model is computed", () => {
  const most = 4 * availableParallelism();
  for (
    const words of [["run", "x"], ["calibrate"], ["eval", "perplexity"], ["bench", "attention"], ["plan"]]
  ) {
    const parsed = parse([...words, "--threads", String(most)]);
    assert.equal(parsed.kind, "command", JSON.stringify(parsed));
    const { options } = parsed as { options: CommandOptions };
    assert.equal((options as { threads: number | null }).threads, most);
    for (const value of ["0", "-1", "1.5", "many", String(most + 1)]) {
      assert.match(
        refusal([...words, `--threads=${value}`]),
        new RegExp(`--threads: must be a whole number from 1 to ${most}`),
        value,
      );
    }
  }
  assert.equal(run(["x"]).threads, null);
  assert.equal(run(["x"], { DS_THREADS: "1" }).threads, 1);
});

test("parseArguments() refuses by name what this version does not have", () => {
  assert.match(refusal(["eval", "needle"]), /needle, which this version does not have/);
  assert.match(refusal(["eval", "retrieval"]), /retrieval, which this version does not have/);
  assert.match(refusal(["bench", "offload"]), /offload, which this version does not have/);
  assert.match(refusal(["run", "--attention", "quest"]), /quest, which this version does not have/);
});

test("every command's help names its flags with their variables and agrees with the parser", () => {
  for (const name of Object.keys(OPTIONS)) {
    const shown = parse([name, "--help"]);
    assert.equal(shown.kind, "shown");
    const text = (shown as { text: string }).text;
    assert.match(text, new RegExp(`Usage: ds ${name}`));
    const flags = [...text.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, flag]) => flag!);
    assert.ok(flags.includes("--json"), name);
    const words = text.replace(/\s+/g, " ");
    for (const flag of flags) {
      const variable = `DS_${flag.slice(2).replaceAll("-", "_").toUpperCase()}`;
      assert.ok(words.includes(`[${variable}]`), `${name} ${flag}`);
      const asked = parse([name, flag]);
      const unknown = asked.kind === "refused" && asked.message.includes("no such option");
      assert.equal(unknown, false, `${name} ${flag}`);
    }
    assert.deepEqual(parse(["help", name]), shown);
  }
});

test("parseArguments() makes completion scripts and completes commands, flags and values", () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const script = parse(["completions", shell]);
    assert.equal(script.kind, "shown");
    assert.match((script as { text: string }).text, /completions/);
  }
  const complete = (...words: string[]) =>
    (parse(["completions", "bash", ...words]) as { text: string }).text;
  assert.match(complete("cal"), /calibrate/);
  assert.match(complete("run", "--heav"), /--heavy-tokens/);
  assert.match(complete("run", "--attention", "str"), /streaming-llm/);
});
