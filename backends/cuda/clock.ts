import type { DeviceClock } from "../../core/backend.ts";
import type { Queue } from "./queue.ts";

/** The device's time between two marks: before the first tape that is handed over after the start, and behind the last. */
export class MarkClock implements DeviceClock {
  private readonly queue: Queue;
  private isStarted = false;
  private begin: number | null = null;

  constructor(queue: Queue) {
    this.queue = queue;
  }

  start(): void {
    this.queue.submit();
    this.dropBegin();
    this.isStarted = true;
  }

  /** A tape is about to be handed over. */
  running(): void {
    if (!this.isStarted || this.begin !== null) return;
    this.begin = this.queue.stream.markHere();
  }

  stop(): Promise<number> {
    const { queue } = this;
    return queue.whileOpen(async () => {
      queue.submit();
      this.isStarted = false;
      const { begin } = this;
      if (begin === null) return 0;
      this.begin = null;
      const end = queue.stream.markHere();
      await queue.stream.wait(end);
      const milliseconds = queue.stream.milliseconds(begin, end);
      for (const mark of [begin, end]) queue.stream.dropMark(mark);
      return milliseconds;
    });
  }

  private dropBegin(): void {
    if (this.begin !== null) this.queue.stream.dropMark(this.begin);
    this.begin = null;
  }
}
