#!/usr/bin/env -S deno run -A
import { type Environment, setting } from "../runtime/environment.ts";
import { commandTerminal, takesColour } from "./command_terminal.ts";
import { endingOf, EXIT_OK, EXIT_USAGE, Interrupted } from "./exit_codes.ts";
import { parseArguments, type Parsed } from "./parse.ts";
import { processStreams, stdoutFailure, type Streams } from "./streams.ts";

/** The command line of ds. @param argv without the program's own name @returns the exit code */
export async function main(
  argv: readonly string[],
  environment: Environment,
  streams: Streams,
): Promise<number> {
  const { stdout, stderr } = streams;
  const abort = new AbortController();
  let interruptions = 0;
  const stopListening = streams.onSignal((name) => {
    const code = name === "SIGINT" ? 130 : 143;
    if (interruptions++ > 0) return streams.exit(code);
    abort.abort(new Interrupted(code, `stopped by ${name}`));
    if (stderr.isTty) stderr.write("\nStopping; once more ends at once.\n");
  });
  stdout.onFailure((code) => abort.abort(stdoutFailure(code)));
  stderr.onFailure(() => {});
  try {
    const code = await answer(argv, environment, streams, abort.signal);
    await stdout.drained();
    if (abort.signal.reason instanceof Interrupted) throw abort.signal.reason;
    return code;
  } catch (error) {
    await stdout.drained();
    const { code, message } = endingOf(error, abort.signal);
    if (message !== null) stderr.write(`ds: ${message}\n`);
    if (setting(environment, "DS_DEBUG") !== null && error instanceof Error) {
      stderr.write(`${error.stack ?? String(error)}\n`);
    }
    return code;
  } finally {
    await stderr.drained();
    stopListening();
  }
}

async function answer(
  argv: readonly string[],
  environment: Environment,
  streams: Streams,
  signal: AbortSignal,
): Promise<number> {
  const { stdout, stderr } = streams;
  const parse = (words: readonly string[]): Parsed =>
    parseArguments(words, {
      environment,
      colour: takesColour(stdout.isTty, environment),
      columns: stdout.columns || 80,
    });
  if (argv.length === 0) {
    const help = parse(["--help"]);
    stderr.write(help.kind === "shown" ? help.text : "");
    return EXIT_USAGE;
  }
  const parsed = parse(argv);
  switch (parsed.kind) {
    case "shown":
      stdout.write(parsed.text);
      return EXIT_OK;
    case "refused":
      stderr.write(`ds: ${parsed.message}\n`);
      return EXIT_USAGE;
    case "command": {
      const { runCommand } = await import("./commands.ts");
      const terminal = commandTerminal(streams, environment, parsed.options.json, signal);
      return await runCommand(parsed.options, terminal) ?? EXIT_OK;
    }
  }
}

if (import.meta.main) {
  const code = await main(process.argv.slice(2), process.env, processStreams());
  // Timers, workers and an open stdin must not keep a finished command alive.
  process.exit(code);
}
