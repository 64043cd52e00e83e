import { isOutOfMemory, StaleRecording } from "./faults.ts";
import type { Stream } from "./stream.ts";
import type { Tape } from "./tape.ts";

/** Of a shorter tape a replay saves nothing. */
const FEWEST_OPS = 4;
const MOST_RECORDINGS = 64;
const MOST_SEEN = 256;

interface Recording {
  readonly handle: number;
  readonly hash: number;
  /** The tape. */
  readonly values: Float64Array;
  /** The tensors it names. */
  readonly tensors: ReadonlySet<number>;
}

/** Runs tapes. One that comes again is recorded, and replayed from then on: a hundred ops are one call. */
export class Recordings {
  private readonly stream: Stream;
  /** By hash, the last used last. */
  private readonly kept = new Map<number, Recording>();
  /** Hashes of tapes that were run, the last last: by then their ops have the working memory they need. */
  private readonly seen = new Set<number>();

  constructor(stream: Stream) {
    this.stream = stream;
  }

  run(tape: Tape): void {
    if (tape.ops < FEWEST_OPS || this.stream.isRehearsal) return this.runEach(tape);
    const recording = this.find(tape) ?? this.record(tape);
    if (recording !== null) {
      this.kept.delete(recording.hash);
      this.kept.set(recording.hash, recording);
      try {
        return this.stream.replay(recording.handle);
      } catch (error) {
        // A graph takes memory of its own: ops run where there is none for it.
        if (!(error instanceof StaleRecording) && !isOutOfMemory(error)) throw error;
        this.drop(recording);
      }
    }
    this.runEach(tape);
    this.remember(tape.hash);
  }

  /** Before a tensor is given back: its address may become another's. */
  forget(tensor: number): void {
    for (const recording of this.kept.values()) if (recording.tensors.has(tensor)) this.drop(recording);
  }

  private find(tape: Tape): Recording | null {
    const known = this.kept.get(tape.hash);
    return known !== undefined && tape.equals(known.values) ? known : null;
  }

  /** @returns null where it has not been run yet, or needs memory that has yet to be made or is not there */
  private record(tape: Tape): Recording | null {
    if (!this.seen.delete(tape.hash)) return null;
    this.stream.recordBegin();
    try {
      this.runEach(tape);
    } catch (error) {
      this.abandon();
      if (error instanceof StaleRecording) return null;
      throw error;
    }
    const handle = this.finish();
    if (handle === null) return null;
    for (const other of this.kept.values()) {
      if (other.hash === tape.hash || this.kept.size >= MOST_RECORDINGS) this.drop(other);
    }
    return { handle, hash: tape.hash, values: tape.copy(), tensors: tape.handles() };
  }

  /** @returns the recording, or null where there is no memory for it */
  private finish(): number | null {
    try {
      return this.stream.recordEnd();
    } catch (error) {
      if (isOutOfMemory(error)) return null;
      throw error;
    }
  }

  private abandon(): void {
    try {
      this.stream.dropRecording(this.stream.recordEnd());
    } catch {
      // What broke the recording off is what counts.
    }
  }

  private runEach(tape: Tape): void {
    tape.each((op, args) => this.stream.run(op, args));
  }

  private remember(hash: number): void {
    this.seen.add(hash);
    for (const oldest of this.seen) {
      if (this.seen.size <= MOST_SEEN) break;
      this.seen.delete(oldest);
    }
  }

  private drop(recording: Recording): void {
    this.kept.delete(recording.hash);
    this.stream.dropRecording(recording.handle);
  }
}
