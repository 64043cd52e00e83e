import { DsError } from "../core/errors.ts";
import { type Environment, setting } from "../runtime/environment.ts";
import { EXIT_OK, Interrupted } from "./exit_codes.ts";
import { ProgressBar } from "./progress_bar.ts";
import type { Streams } from "./streams.ts";
import type { Progress, Terminal } from "./terminal.ts";

/** A terminal that can also be read from. */
export interface CommandTerminal extends Terminal {
  readonly stdinIsTty: boolean;
  /**
   * All of stdin as text, a byte order mark dropped.
   *
   * @throws {DsError} kind "bad-data" where it is too long or no UTF-8
   */
  readStdin(): Promise<string>;
}

/** A prompt of this size is far over any context. */
const MOST_STDIN_BYTES = 256 * 2 ** 20;

export function commandTerminal(
  streams: Streams,
  environment: Environment,
  json: boolean,
  signal: AbortSignal,
): CommandTerminal {
  const { stdin, stdout, stderr } = streams;
  let bar: ProgressBar | null = null;
  const silent: Progress = { update: () => {}, end: () => {} };
  return {
    json,
    signal,
    stdoutIsTty: stdout.isTty,
    stderrIsTty: stderr.isTty,
    stdinIsTty: stdin.isTty,
    colour: takesColour(stdout.isTty, environment),
    columns: stdout.columns || 80,
    out: (text) => stdout.write(text),
    note(text) {
      // Whoever closed stdout has seen enough of this command.
      if (signal.reason instanceof Interrupted && signal.reason.exitCode === EXIT_OK) return;
      bar?.clear();
      stderr.write(`${text}\n`);
    },
    progress(label, total, unit) {
      if (!stderr.isTty || setting(environment, "TERM") === "dumb") return silent;
      bar?.end();
      bar = new ProgressBar(stderr, label, total, unit);
      return bar;
    },
    drained: () => stdout.drained(),
    readStdin: () => readAll(streams),
  };
}

/** `NO_COLOR` forbids, `FORCE_COLOR` demands, else a terminal that is not dumb takes colours. */
export function takesColour(isTty: boolean, environment: Environment): boolean {
  if (setting(environment, "NO_COLOR") !== null) return false;
  const forced = setting(environment, "FORCE_COLOR");
  if (forced !== null) return forced !== "0";
  return isTty && setting(environment, "TERM") !== "dumb";
}

async function readAll({ stdin }: Streams): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of stdin.chunks()) {
      bytes += chunk.length;
      if (bytes > MOST_STDIN_BYTES) {
        throw new DsError("bad-data", `Cannot read stdin: it is longer than ${MOST_STDIN_BYTES} bytes`);
      }
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  } catch (error) {
    if (error instanceof DsError) throw error;
    if (error instanceof TypeError) throw new DsError("bad-data", "Cannot read stdin: it is not UTF-8 text");
    throw new DsError("io", `Cannot read stdin: ${error instanceof Error ? error.message : String(error)}`);
  }
}
