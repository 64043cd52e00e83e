import type { StepRows } from "../../core/backend.ts";
import { MarkClock } from "./clock.ts";
import { FUNCTIONS, type OpName } from "./functions.ts";
import { Recordings } from "./recordings.ts";
import type { Stream } from "./stream.ts";
import { Tape } from "./tape.ts";
import { CudaTensor } from "./tensor.ts";

/** A tape of so many ops is handed over: the device begins while the host still writes the rest of a step. */
const MOST_OPS = 128;
/** What the host wrote last is remembered of tensors so small: budgets and places that stay the same for many steps. */
const MOST_REMEMBERED_BYTES = 2 ** 12;

/** Puts ops on a tape and hands it over when someone must see a result. */
export class Queue {
  readonly stream: Stream;
  readonly clock: MarkClock;
  private readonly recordings: Recordings;
  private readonly tape = new Tape();
  /** The number of the tape being written. */
  private tapeNumber = 1;
  /** What is being waited for. */
  private readonly pending = new Set<Promise<unknown>>();

  constructor(stream: Stream) {
    this.stream = stream;
    this.recordings = new Recordings(stream);
    this.clock = new MarkClock(this);
  }

  beginStep(rows: StepRows): void {
    this.submit();
    this.tape.start(this.stream.beginStep(rows));
  }

  /** Enqueues an op. @param args what follows the stream in `native/ds.h`; null stands for a tensor that is absent */
  run(op: OpName, args: readonly (CudaTensor | number | null)[]): void {
    const letters = FUNCTIONS[op];
    // An op may read what it overwrites.
    for (let i = 0; i < args.length; i++) {
      const arg = args[i]!;
      if (letters[i + 1] !== "o" && arg instanceof CudaTensor) this.freshen(arg);
    }
    this.tape.begin(op);
    for (let i = 0; i < args.length; i++) {
      const arg = args[i]!;
      if (arg instanceof CudaTensor) {
        if (letters[i + 1] !== "h") arg.uploaded = null;
        arg.isStale = false;
        arg.usedIn = this.tapeNumber;
        this.tape.push(arg.handle);
      } else this.tape.push(arg ?? 0);
    }
    // Selection joins the scores it follows, as long as they are on the tape.
    if (this.tape.ops >= MOST_OPS && op !== "score_labels") this.submit();
  }

  /** Takes the last op back where it is `op` on these tensors. @returns what follows them, or null */
  takeLast(op: OpName, tensors: readonly CudaTensor[]): number[] | null {
    const args = this.tape.takeLast(op, tensors.map(({ handle }) => handle));
    return args === null ? null : args.slice(tensors.length);
  }

  /** A stale tensor is zero from here on. */
  freshen(tensor: CudaTensor): void {
    if (!tensor.isStale) return;
    tensor.isStale = false;
    tensor.uploaded = null;
    tensor.usedIn = this.tapeNumber;
    this.tape.begin("clear");
    this.tape.push(tensor.handle);
  }

  submit(): void {
    if (this.tape.ops === 0) return;
    this.clock.running();
    try {
      this.recordings.run(this.tape);
    } finally {
      this.tape.start(this.tape.kind);
      this.tapeNumber++;
    }
  }

  /** Writes now, before the ops on the tape, which go first where they name the tensor; nothing where it holds these bytes. */
  write(tensor: CudaTensor, data: Uint8Array, byteOffset: number): void {
    if (data.byteLength === 0) return;
    const isWhole = data.byteLength === tensor.byteLength;
    if (isWhole && tensor.uploaded !== null && isSame(tensor.uploaded, data)) {
      tensor.isStale = false;
      return;
    }
    this.settle(tensor);
    if (tensor.isStale && !isWhole) this.stream.clear(tensor.handle);
    tensor.isStale = false;
    tensor.uploaded = isWhole && data.byteLength <= MOST_REMEMBERED_BYTES ? data.slice() : null;
    this.stream.upload(tensor.handle, data, byteOffset);
  }

  /** The bytes as of this call. */
  read(tensor: CudaTensor, byteOffset: number, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.whileOpen(async () => {
      this.freshen(tensor);
      this.submit();
      const data = new Uint8Array(bytes);
      if (bytes === 0) return data;
      const mark = this.stream.beginDownload(tensor.handle, byteOffset, bytes);
      await this.stream.wait(mark);
      this.stream.takeDownload(mark, data);
      return data;
    });
  }

  synchronize(): Promise<void> {
    return this.whileOpen(async () => {
      this.submit();
      const mark = this.stream.markHere();
      await this.stream.wait(mark);
      this.stream.dropMark(mark);
    });
  }

  /** Gives the memory back; what was recorded of it is forgotten. */
  release(tensor: CudaTensor): void {
    this.settle(tensor);
    this.recordings.forget(tensor.handle);
    this.stream.free(tensor.handle);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.pending);
    this.stream.close();
  }

  /** Runs `work`, whose end `close` waits for. */
  whileOpen<T>(work: () => Promise<T>): Promise<T> {
    const running = work();
    const settled = running.catch(() => {}).finally(() => this.pending.delete(settled));
    this.pending.add(settled);
    return running;
  }

  /** No op on the tape names the tensor any more. */
  private settle(tensor: CudaTensor): void {
    if (tensor.usedIn === this.tapeNumber) this.submit();
  }
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}
