import type { StepRows } from "../../core/backend.ts";
import { DsError } from "../../core/errors.ts";
import { Arena } from "./arena.ts";
import { ALONE, ARGUMENTS, COMMAND_SHIFT } from "./kernels/ops.ts";
import type { Pool } from "./pool.ts";
import type { CpuTensor } from "./tensor.ts";

/** Commands that wait at most; more of them run at once. */
const CAPACITY = 2048;
/** Simple work on so few values takes less than two barriers: some 2 microseconds. */
export const ALONE_VALUES = 4096;

const COMMAND_BYTES = 1 << COMMAND_SHIFT;

/** Where the columns of the row table lie in one arena: i32 [T] each. */
export interface RowAddresses {
  readonly tokens: number;
  readonly slots: number;
  readonly positions: number;
  readonly homes: number;
}

/** A block of memory that commands share, kept for the next op of the same need. */
interface Block {
  readonly address: number;
  readonly bytes: number;
}

/** What an arena holds besides tensors. */
interface Fixture {
  list: number;
  scratch: Block | null;
  rows: (RowAddresses & Block) | null;
}

const NO_ROWS: StepRows = {
  tokens: new Int32Array(0),
  slots: new Int32Array(0),
  positions: new Int32Array(0),
  homes: new Int32Array(0),
};

/**
 * Ops as commands in shared memory, run when something must be seen, when the arena changes or when the list is full. An op
 * asks for addresses, then writes its commands with `begin`, `int` and `float`; a command starts when every thread is done with the one before.
 */
export class Queue {
  readonly threads: number;
  rows: StepRows = NO_ROWS;
  private readonly pool: Pool;
  private readonly fixtures: Fixture[];
  private readonly arenas: readonly Arena[];
  private arena: Arena;
  private count = 0;
  /** Index in `arena.ints` of the next argument. */
  private at = 0;
  private readonly queued: CpuTensor[] = [];
  private readonly retired: (() => void)[] = [];

  constructor(pool: Pool, arenas: readonly Arena[]) {
    this.pool = pool;
    this.threads = pool.threads;
    this.arenas = arenas;
    this.arena = arenas[0];
    this.fixtures = arenas.map(() => ({ list: 0, scratch: null, rows: null }));
  }

  /**
   * Starts a command; what its kernel documents must follow, argument by argument.
   *
   * @param isAlone one thread does it: there is too little work to share
   */
  begin(op: number, arena: Arena, isAlone = false): void {
    if (arena !== this.arena || this.count === CAPACITY) this.run();
    this.arena = arena;
    const fixture = this.fixtures[arena.index];
    if (fixture.list === 0) fixture.list = this.take(arena, CAPACITY * COMMAND_BYTES, "the list of commands");
    const word = (fixture.list + this.count * COMMAND_BYTES) >>> 2;
    arena.ints[word] = isAlone ? op | ALONE : op;
    arena.ints[word + 1] = 0;
    this.at = word + (ARGUMENTS >> 2);
    this.count++;
  }

  int(value: number): void {
    this.arena.ints[this.at++] = value;
  }

  float(value: number): void {
    this.arena.floats[this.at++] = value;
  }

  /** Address in `arena` of a tensor's values as last written. */
  read(tensor: CpuTensor, arena: Arena): number {
    this.mark(tensor);
    if (tensor.copies.length === 1 && tensor.copies[0].arena === arena) return tensor.copies[0].address;
    const own = this.copyIn(tensor, arena);
    if (!own.isCurrent) {
      this.run();
      const { arena: from, address } = tensor.current;
      arena.bytes.set(from.bytes.subarray(address, address + tensor.heldBytes), own.address);
      own.isCurrent = true;
    }
    return own.address;
  }

  /** Address in `arena` for a tensor that the command writes, in part or whole. */
  write(tensor: CpuTensor, arena: Arena): number {
    const address = this.read(tensor, arena);
    if (tensor.copies.length > 1) {
      for (const copy of tensor.copies) copy.isCurrent = copy.arena === arena;
    }
    return address;
  }

  /** Memory for what commands of one op hand each other; the next op's may be the same. Contents unspecified. */
  scratch(arena: Arena, bytes: number): number {
    const fixture = this.fixtures[arena.index];
    if (fixture.scratch === null || fixture.scratch.bytes < bytes) {
      this.retire(arena, fixture.scratch);
      fixture.scratch = null;
      const rounded = Math.max(2 ** 16, 2 ** Math.ceil(Math.log2(bytes)));
      fixture.scratch = { address: this.take(arena, rounded, "room to work in"), bytes: rounded };
    }
    return fixture.scratch.address;
  }

  /** The row table in `arena`. */
  rowsIn(arena: Arena): RowAddresses {
    const fixture = this.fixtures[arena.index];
    if (fixture.rows === null) {
      const { tokens, slots, positions, homes } = this.rows;
      const bytes = Math.max(tokens.byteLength, 4);
      const address = this.take(arena, 4 * bytes, "the rows of a step");
      fixture.rows = {
        address,
        bytes: 4 * bytes,
        tokens: address,
        slots: address + bytes,
        positions: address + 2 * bytes,
        homes: address + 3 * bytes,
      };
      [tokens, slots, positions, homes].forEach((column, i) => {
        arena.ints.set(column, (address + i * bytes) >>> 2);
      });
    }
    return fixture.rows;
  }

  /** Runs what is queued first: the rows it is about go. */
  beginStep(rows: StepRows): void {
    this.flush();
    const { tokens, slots, positions, homes } = rows;
    this.rows = {
      tokens: tokens.slice(),
      slots: slots.slice(),
      positions: positions.slice(),
      homes: homes.slice(),
    };
    for (const arena of this.arenas) {
      const fixture = this.fixtures[arena.index];
      if (fixture.rows !== null) arena.release(fixture.rows.address, fixture.rows.bytes);
      fixture.rows = null;
    }
  }

  /** Frees a tensor's memory once nothing queued can name it. */
  drop(tensor: CpuTensor): void {
    const release = () => {
      for (const { arena, address } of tensor.copies) arena.release(address, tensor.heldBytes);
    };
    if (tensor.isQueued) this.retired.push(release);
    else release();
  }

  /** Everything queued is done when it returns, and what was freed meanwhile is free. Never between `read` and `begin`. */
  flush(): void {
    this.run();
    for (const tensor of this.queued) tensor.isQueued = false;
    this.queued.length = 0;
    this.releaseRetired();
  }

  /** Runs the commands in the list; tensors stay marked, as the op being queued may name them. */
  private run(): void {
    const { count, arena } = this;
    if (count === 0) return;
    this.count = 0;
    this.pool.run(arena, this.fixtures[arena.index].list, count);
  }

  private releaseRetired(): void {
    for (const release of this.retired) release();
    this.retired.length = 0;
  }

  private mark(tensor: CpuTensor): void {
    if (tensor.isQueued) return;
    tensor.isQueued = true;
    this.queued.push(tensor);
  }

  private copyIn(tensor: CpuTensor, arena: Arena): CpuTensor["copies"][number] {
    const known = tensor.copies.find((copy) => copy.arena === arena);
    if (known !== undefined) return known;
    const copy = {
      arena,
      address: this.take(arena, tensor.heldBytes, "a copy of a tensor"),
      isCurrent: false,
    };
    tensor.copies.push(copy);
    return copy;
  }

  private retire(arena: Arena, block: Block | null): void {
    if (block !== null) this.retired.push(() => arena.release(block.address, block.bytes));
  }

  private take(arena: Arena, bytes: number, what: string): number {
    let address = arena.alloc(bytes);
    if (address === null && this.retired.length > 0) {
      this.run();
      this.releaseRetired();
      address = arena.alloc(bytes);
    }
    if (address !== null) return address;
    throw new DsError(
      "out-of-memory",
      `Cannot hold ${what}, ${bytes} bytes: WebAssembly memory ${arena.index} of backend "cpu" has room for ${arena.room}; use a shorter --context`,
    );
  }
}
