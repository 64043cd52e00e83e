import { STATUS } from "../../../backends/cuda/faults.ts";
import type { FunctionName } from "../../../backends/cuda/functions.ts";
import type { Argument, CudaLibrary } from "../../../backends/cuda/library.ts";

/** Beyond 32 bits, as addresses are. */
const FIRST_HANDLE = 0x7f00_0000_1000;
const FACTS = { totalAt: 256, isHostAt: 304 };

type Call = readonly [FunctionName, readonly number[]];

/** A library without a device: it holds bytes, adds, and writes down what was called. */
export class FakeLibrary implements CudaLibrary {
  readonly path = "/fake/libds_cuda.so";
  /** What came since the last `take`: names, ops that a replay runs behind it in brackets. */
  private calls: string[] = [];
  /** What the next call of a function comes back with in place of its work, and the text that goes with it. */
  readonly failures = new Map<FunctionName, readonly [status: number, text: string]>();
  /** Bytes of the device. */
  room = Infinity;
  isHost = false;
  /** Settles waits, where it is set; else they are done at once. */
  gate: Promise<void> | null = null;
  readonly memory = new Map<number, Uint8Array<ArrayBuffer>>();
  readonly recordings = new Map<number, readonly Call[]>();
  /** The ops of each step, in the order they ran. */
  private kind = 0;
  private recording: Call[] | null = null;
  private readonly downloads = new Map<number, Uint8Array>();
  private text = "";
  private next = FIRST_HANDLE;

  /** The calls since the last time. */
  take(): string[] {
    return this.calls.splice(0);
  }

  call(name: FunctionName, ...args: readonly Argument[]): number {
    this.calls.push(name);
    const failure = this.failures.get(name);
    if (failure === undefined) return this.work(name, args);
    // What it is waited for fails on every thread.
    if (name !== "wait") this.failures.delete(name);
    if (name === "record_end") this.recording = null;
    this.text = failure[1];
    return failure[0];
  }

  async wait(_mark: number): Promise<number> {
    this.calls.push("wait");
    await this.gate;
    return this.failures.get("wait")?.[0] ?? STATUS.ok;
  }

  lastError(): string {
    return this.text;
  }

  private work(name: FunctionName, args: readonly Argument[]): number {
    const numbers = args.filter((arg) => typeof arg === "number");
    const [data] = args.filter((arg) => typeof arg !== "number");
    const bytes = data as Uint8Array;
    const [, first = 0, second = 0, third = 0] = numbers;
    switch (name) {
      case "describe": {
        const view = new DataView(bytes.buffer);
        new TextEncoder().encodeInto("NVIDIA Fake", bytes);
        view.setBigInt64(FACTS.totalAt, 2n ** 33n, true);
        view.setInt32(FACTS.isHostAt, this.isHost ? 1 : 0, true);
        return STATUS.ok;
      }
      case "alloc": {
        const size = 4 * [...data as BigInt64Array].reduce((count, axis) => count * Number(axis), 1);
        const held = [...this.memory.values()].reduce((sum, { length }) => sum + length, 0);
        this.text = "Cannot hold it: there is no room";
        if (held + size > this.room) return STATUS.outOfMemory;
        this.memory.set(this.answer(args), new Uint8Array(size).fill(0xff));
        return STATUS.ok;
      }
      case "free":
        return this.memory.delete(first) ? STATUS.ok : STATUS.invalid;
      case "upload":
        this.memory.get(first)!.set(bytes, second);
        return STATUS.ok;
      case "begin_step":
        new Uint32Array((args.at(-1) as Uint32Array).buffer).set([this.kind = numbers[1]!, 0]);
        return STATUS.ok;
      case "begin_download": {
        const copy = this.memory.get(first)!.slice(second, second + third);
        this.downloads.set(this.answer(args), copy);
        return STATUS.ok;
      }
      case "take_download":
        bytes.set(this.downloads.get(first)!);
        return STATUS.ok;
      case "record_begin":
        this.recording = [];
        return STATUS.ok;
      case "record_end":
        this.recordings.set(this.answer(args), this.recording!);
        this.recording = null;
        return STATUS.ok;
      case "replay":
        for (const [op, rest] of this.recordings.get(first)!) this.run(op, rest);
        return STATUS.ok;
      case "drop_recording":
        return this.recordings.delete(first) ? STATUS.ok : STATUS.invalid;
      case "open":
      case "open_rehearsal":
      case "mark_here":
        this.answer(args);
        return STATUS.ok;
      case "milliseconds":
        (data as Float32Array)[0] = 1.5;
        return STATUS.ok;
      case "held":
        args.slice(1).forEach((out, i) => (out as BigInt64Array)[0] = BigInt(i + 1));
        return STATUS.ok;
      default:
        if (this.recording === null) this.run(name, numbers.slice(1));
        else this.recording.push([name, numbers.slice(1)]);
        return STATUS.ok;
    }
  }

  private run(name: FunctionName, [x, y]: readonly number[]): void {
    if (name === "clear") this.memory.get(x!)!.fill(0);
    if (name !== "add") return;
    const [to, from] = [x!, y!].map((tensor) => new Float32Array(this.memory.get(tensor)!.buffer));
    for (let i = 0; i < to!.length; i++) to![i]! += from![i]!;
  }

  /** Writes a new handle where the caller wants it: behind all else. */
  private answer(args: readonly Argument[]): number {
    const handle = this.next;
    this.next += 0x100;
    const halves = args.at(-1) as Uint32Array;
    halves[0] = handle % 2 ** 32;
    halves[1] = Math.floor(handle / 2 ** 32);
    return handle;
  }
}
