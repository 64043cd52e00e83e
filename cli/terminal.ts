/** Where a command's words go: data to stdout, everything else to stderr. Injected, so that tests can read both. */
export interface Terminal {
  /** Whether the command was asked for one JSON object instead of text. */
  readonly json: boolean;
  /** Aborted by Ctrl-C, SIGTERM or a reader of stdout that went away. */
  readonly signal: AbortSignal;
  readonly stdoutIsTty: boolean;
  readonly stderrIsTty: boolean;
  /** Whether stdout takes colours (`NO_COLOR`, `FORCE_COLOR`, `TERM=dumb`). */
  readonly colour: boolean;
  /** Characters per line of stdout; 80 where there is no telling. */
  readonly columns: number;
  /** Data, to stdout, as it is: a line needs its own line end. */
  out(text: string): void;
  /** One line to stderr; the line end is added. */
  note(text: string): void;
  /**
   * A bar on stderr with rate and time left; silent where stderr is no TTY.
   *
   * @param total 0 where it is not known yet: the first `update` with a total sets it
   * @param unit of `total`: "bytes" is shown as MB, anything else as it is ("tokens", "heads")
   */
  progress(label: string, total: number, unit: string): Progress;
  /** Waits until stdout has taken what was written: for commands that print faster than a reader reads. */
  drained(): Promise<void>;
}

export interface Progress {
  update(done: number, total?: number): void;
  /** Removes the bar. */
  end(): void;
}
