import type { TensorSpec } from "../../core/backend.ts";
import { DsError } from "../../core/errors.ts";
import { Arena, MOST_PAGES, rounded } from "./arena.ts";
import { CpuTensor } from "./tensor.ts";

/** What a WebAssembly memory can address. */
export const ARENA_BYTES = MOST_PAGES * 65536;

/** Left free in each memory by tensors: commands, copies, rows, room to work in. At most half of it. */
const RESERVE_BYTES = 2 ** 28;

/** Memories at most: each takes 4 GiB of addresses or more, used or not. */
const MOST_ARENAS = 16;

/** All memory of the backend: arenas of at most 4 GiB, filled one after the other. */
export class Memory {
  readonly arenas: readonly Arena[];
  /** Of one tensor. */
  readonly mostTensorBytes: number;
  /** Of all tensors together, at least. */
  readonly mostBytes: number;
  private readonly memoryBytes: number | null;
  private held = 0;

  /**
   * @param memoryBytes of the machine; null: unknown
   * @param arenaBytes largest size of one arena
   */
  constructor(memoryBytes: number | null, arenaBytes: number) {
    this.memoryBytes = memoryBytes;
    this.mostTensorBytes = arenaBytes - Math.min(RESERVE_BYTES, arenaBytes / 2);
    const count = memoryBytes === null ? MOST_ARENAS : Math.ceil(memoryBytes / this.mostTensorBytes);
    this.arenas = openArenas(Math.min(Math.max(count, 1), MOST_ARENAS), arenaBytes);
    this.mostBytes = Math.min(memoryBytes ?? Infinity, this.arenas.length * this.mostTensorBytes);
  }

  /**
   * @param reclaim frees what only waits for queued ops to be done
   * @throws {DsError} kind "out-of-memory"
   */
  alloc(spec: TensorSpec, heldBytes: number, reclaim: () => void = () => {}): CpuTensor {
    const refuse = (reason: string) => {
      const asked = `a ${spec.dtype} tensor of [${spec.shape.join(", ")}]`;
      return new DsError("out-of-memory", `Cannot hold ${asked}, ${heldBytes} bytes: ${reason}`);
    };
    if (this.memoryBytes !== null && this.held + heldBytes > this.memoryBytes) {
      throw refuse(`${this.held} of the ${this.memoryBytes} bytes of memory are taken`);
    }
    if (heldBytes > this.mostTensorBytes) {
      throw refuse(`a tensor must fit the ${this.mostTensorBytes} bytes of one WebAssembly memory`);
    }
    let place = this.place(heldBytes);
    if (place === null) {
      reclaim();
      place = this.place(heldBytes);
    }
    if (place === null) {
      const memories = `the ${this.arenas.length} WebAssembly memories this runtime gave`;
      throw refuse(`the ${this.held} bytes held leave no room in ${memories}`);
    }
    this.held += rounded(heldBytes);
    return new CpuTensor(spec, heldBytes, place.arena, place.address);
  }

  private place(heldBytes: number): { arena: Arena; address: number } | null {
    for (const arena of this.arenas) {
      if (arena.used > 0 && arena.used + heldBytes > this.mostTensorBytes) continue;
      const address = arena.alloc(heldBytes);
      if (address !== null) return { arena, address };
    }
    return null;
  }

  released(tensor: CpuTensor): void {
    this.held -= rounded(tensor.heldBytes);
  }
}

/** As many as the runtime gives, at least one. */
function openArenas(count: number, arenaBytes: number): Arena[] {
  const arenas: Arena[] = [];
  try {
    for (let index = 0; index < count; index++) arenas.push(new Arena(index, arenaBytes));
  } catch (error) {
    if (arenas.length === 0) {
      throw new DsError(
        "backend-unavailable",
        `Cannot open backend "cpu" as this runtime gives no shared WebAssembly memory: ${String(error)}`,
        { cause: error },
      );
    }
  }
  return arenas;
}
