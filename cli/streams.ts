import { Interrupted } from "./exit_codes.ts";

/** The process as the command line sees it; tests hand in their own. */
export interface Streams {
  readonly stdin: Source;
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** Calls back for each SIGINT and SIGTERM. @returns how to stop listening */
  onSignal(listener: (name: "SIGINT" | "SIGTERM") => void): () => void;
  /** Ends the process at once. */
  exit(code: number): void;
}

export interface Source {
  readonly isTty: boolean;
  chunks(): AsyncIterable<Uint8Array>;
}

export interface Sink {
  readonly isTty: boolean;
  /** Undefined where there is no telling. */
  readonly columns: number | undefined;
  write(text: string): void;
  /** Waits until everything was handed over. */
  drained(): Promise<void>;
  /** Calls back once, where nothing reads any more or the device failed. */
  onFailure(listener: (code: string | undefined) => void): void;
}

type Writable = NodeJS.WriteStream;

/** The streams of this process. */
export function processStreams(): Streams {
  return {
    stdin: {
      get isTty() {
        return process.stdin.isTTY === true;
      },
      chunks: () => process.stdin as AsyncIterable<Uint8Array>,
    },
    stdout: sinkOf(() => process.stdout),
    stderr: sinkOf(() => process.stderr),
    onSignal(listener) {
      const names = ["SIGINT", "SIGTERM"] as const;
      const all = names.map((name) => [name, () => listener(name)] as const);
      for (const [name, each] of all) process.on(name, each);
      return () => {
        for (const [name, each] of all) process.off(name, each);
      };
    },
    exit: (code) => process.exit(code),
  };
}

function sinkOf(stream: () => Writable): Sink {
  let failed = false;
  let failure: { code: string | undefined } | null = null;
  const listeners: ((code: string | undefined) => void)[] = [];
  let watched = false;
  const fail = (error: unknown) => {
    if (failed) return;
    failed = true;
    failure = { code: (error as { code?: string }).code };
    for (const listener of listeners) listener(failure.code);
  };
  const watch = () => {
    if (!watched) stream().on("error", fail);
    watched = true;
    return stream();
  };
  return {
    get isTty() {
      return stream().isTTY === true;
    },
    get columns() {
      return stream().columns;
    },
    write(text) {
      if (failed || text === "") return;
      try {
        watch().write(text);
      } catch (error) {
        fail(error);
      }
    },
    drained() {
      if (failed || !watched) return Promise.resolve();
      return new Promise((resolve) => {
        listeners.push(() => resolve());
        try {
          watch().write("", () => resolve());
        } catch (error) {
          fail(error);
        }
      });
    },
    onFailure(listener) {
      watch();
      listeners.push(listener);
      if (failure !== null) listener(failure.code);
    },
  };
}

/** The reason of an abort where stdout takes no more: a reader that left has seen enough. */
export function stdoutFailure(code: string | undefined): Interrupted {
  if (code === "EPIPE" || code === "ECONNRESET" || code === "ERR_STREAM_DESTROYED") {
    return new Interrupted(0, "nothing reads stdout any more");
  }
  return new Interrupted(74, `Cannot write to stdout: ${code ?? "it failed"}`);
}
