import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../../cli/main.ts";
import type { Streams } from "../../cli/streams.ts";

/** A folder of this test run; ds keeps its cache there. */
export const FOLDER = mkdtempSync(join(tmpdir(), "ds-cli-"));
/** What the library reads of the process's own environment. */
export const OWN_ENVIRONMENT = { DS_HOME: join(FOLDER, "home"), DS_OFFLINE: "1" };

export function pathOf(name: string): string {
  return join(FOLDER, name);
}

export interface FakeOptions {
  /** Text or bytes on stdin; null: a terminal that nobody types at. */
  readonly stdin?: string | Uint8Array | null;
  /** In place of the run's own folder. */
  readonly home?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdoutIsTty?: boolean;
  readonly stderrIsTty?: boolean;
  /** Sends a signal once so many characters came out on stdout, stderr shows something, or after a while. */
  readonly interrupt?: {
    readonly name: "SIGINT" | "SIGTERM";
    readonly afterCharacters?: number;
    readonly onceShown?: RegExp;
    readonly afterMs?: number;
  };
  /** Fails stdout with this system code at its first write. */
  readonly stdoutFailure?: string;
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line in this process. */
export async function ds(argv: readonly string[], options: FakeOptions = {}): Promise<Outcome> {
  const { stdin = null, interrupt, stdoutFailure } = options;
  // Known values are the reference's, whatever else this machine has.
  const environment = { DS_BACKEND: "reference", ...options.environment };
  const outcome = { out: "", err: "" };
  let signal: ((name: "SIGINT" | "SIGTERM") => void) | null = null;
  let sent = false;
  const failures: ((code: string | undefined) => void)[] = [];
  const streams: Streams = {
    stdin: {
      isTty: stdin === null,
      async *chunks() {
        if (stdin !== null) yield typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin;
      },
    },
    stdout: {
      isTty: options.stdoutIsTty ?? false,
      columns: 100,
      write(text) {
        if (stdoutFailure !== undefined) {
          return failures.splice(0).forEach((listener) => listener(stdoutFailure));
        }
        outcome.out += text;
        if (interrupt === undefined || sent || outcome.out.length < (interrupt.afterCharacters ?? Infinity)) {
          return;
        }
        sent = true;
        signal?.(interrupt.name);
      },
      drained: () => Promise.resolve(),
      onFailure: (listener) => failures.push(listener),
    },
    stderr: {
      isTty: options.stderrIsTty ?? false,
      columns: 100,
      write(text) {
        outcome.err += text;
        if (sent || interrupt?.onceShown?.test(outcome.err) !== true) return;
        sent = true;
        signal?.(interrupt.name);
      },
      drained: () => Promise.resolve(),
      onFailure: () => {},
    },
    onSignal(listener) {
      signal = listener;
      const timer = interrupt?.afterMs === undefined
        ? undefined
        : setTimeout(() => signal?.(interrupt.name), interrupt.afterMs);
      return () => {
        clearTimeout(timer);
        signal = null;
      };
    },
    exit: (code) => {
      throw new Error(`exited at once with ${code}`);
    },
  };
  // Bun runs all test files in one process, which the variables must not outlive.
  const before = { DS_HOME: process.env.DS_HOME, DS_OFFLINE: process.env.DS_OFFLINE };
  Object.assign(process.env, OWN_ENVIRONMENT, options.home !== undefined && { DS_HOME: options.home });
  try {
    const code = await main(argv, environment, streams);
    return { code, ...outcome };
  } finally {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/** The same, its stdout read as the one JSON object it must be. */
export async function dsJson<T = Record<string, unknown>>(
  argv: readonly string[],
  options: FakeOptions = {},
): Promise<T> {
  const { code, out, err } = await ds([...argv, "--json"], options);
  if (code !== 0) throw new Error(`ds ${argv.join(" ")} ended with ${code}: ${err}`);
  if (out.trim().includes("\n")) throw new Error(`not one line: ${out}`);
  return JSON.parse(out);
}

export const TINY = ["--model", "stories260k"];
