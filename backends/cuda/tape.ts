import { FUNCTIONS, OP_NAMES, type OpName } from "./functions.ts";

/** Of each op by its number: the letters of its arguments, the stream's left out. */
const LETTERS = OP_NAMES.map((name) => FUNCTIONS[name].slice(1));
const NUMBERS = Object.fromEntries(OP_NAMES.map((name, number) => [name, number])) as Record<OpName, number>;

/** Ops not run yet, as one list of numbers: the kind of the step, then each op's number and its arguments. */
export class Tape {
  /** Ops on it. */
  ops = 0;
  /** Of all its numbers, 32 bits. */
  hash = 0;
  private values = new Float64Array(4096);
  private length = 0;
  /** Where the last op begins, -1 where there is none or it was taken off, and the hash before it. */
  private lastAt = -1;
  private lastHash = 0;

  constructor() {
    this.start(0);
  }

  /** Empties it. @param kind of the step that the ops to come are about */
  start(kind: number): void {
    this.ops = 0;
    this.hash = 0;
    this.length = 0;
    this.lastAt = -1;
    this.push(kind);
  }

  get kind(): number {
    return this.values[0]!;
  }

  /** Begins an op; its arguments are pushed after it. */
  begin(op: OpName): void {
    this.lastAt = this.length;
    this.lastHash = this.hash;
    this.ops++;
    this.push(NUMBERS[op]);
  }

  push(value: number): void {
    if (this.length === this.values.length) this.grow();
    this.values[this.length++] = value;
    this.hash = Math.imul(this.hash ^ value, 0x9e3779b1);
  }

  /** Takes the last op off again where it is `op` and its first arguments are these. @returns its arguments, or null */
  takeLast(op: OpName, first: readonly number[]): number[] | null {
    if (this.values[this.lastAt] !== NUMBERS[op]) return null;
    const args = [...this.values.subarray(this.lastAt + 1, this.length)];
    if (first.some((value, i) => args[i] !== value)) return null;
    this.length = this.lastAt;
    this.hash = this.lastHash;
    this.lastAt = -1;
    this.ops--;
    return args;
  }

  /** Calls `run` with the ops in their order; `args` are only good until it returns. */
  each(run: (op: OpName, args: readonly number[]) => void): void {
    const { values, length } = this;
    const args: number[] = [];
    for (let at = 1; at < length;) {
      const number = values[at++]!;
      args.length = LETTERS[number]!.length;
      for (let i = 0; i < args.length; i++) args[i] = values[at++]!;
      run(OP_NAMES[number]!, args);
    }
  }

  /** The handles it names. */
  handles(): Set<number> {
    const found = new Set<number>();
    this.each((op, args) => {
      const letters = FUNCTIONS[op];
      for (let i = 0; i < args.length; i++) if ("hwo".includes(letters[i + 1]!)) found.add(args[i]!);
    });
    return found;
  }

  copy(): Float64Array {
    return this.values.slice(0, this.length);
  }

  equals(other: Float64Array): boolean {
    if (other.length !== this.length) return false;
    for (let i = 0; i < this.length; i++) if (this.values[i] !== other[i]) return false;
    return true;
  }

  private grow(): void {
    const larger = new Float64Array(2 * this.length);
    larger.set(this.values);
    this.values = larger;
  }
}
