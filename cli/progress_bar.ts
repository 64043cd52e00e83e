import { bytesText, duration, grouped, quantity } from "./numbers.ts";
import type { Sink } from "./streams.ts";
import type { Progress } from "./terminal.ts";

const WIDTH = 24;
const EVERY_MS = 100;

/** One line of stderr that is drawn over itself. */
export class ProgressBar implements Progress {
  private readonly sink: Sink;
  private readonly label: string;
  private readonly unit: string;
  private readonly started = performance.now();
  private total: number;
  private drawn = -Infinity;
  private shown = false;
  private ended = false;

  constructor(sink: Sink, label: string, total: number, unit: string) {
    this.sink = sink;
    this.label = label;
    this.total = total;
    this.unit = unit;
  }

  update(done: number, total: number = this.total): void {
    this.total = total;
    const now = performance.now();
    if (this.ended || now - this.drawn < EVERY_MS) return;
    this.drawn = now;
    const line = progressLine(this.label, done, this.total, this.unit, (now - this.started) / 1000);
    // One column stays free: a full line would wrap and the next drawing would not cover it.
    this.sink.write(`\r${line.slice(0, Math.max(1, (this.sink.columns || 80) - 1))}\x1b[K`);
    this.shown = true;
  }

  clear(): void {
    if (this.shown) this.sink.write("\r\x1b[K");
    this.shown = false;
  }

  end(): void {
    this.clear();
    this.ended = true;
  }
}

/** `label [#####     ]  42 %  1.2 GB of 3 GB  80 MB/s  23 s left`; rates only once they mean something. */
export function progressLine(
  label: string,
  done: number,
  total: number,
  unit: string,
  seconds: number,
): string {
  const rate = seconds >= 1 ? done / seconds : 0;
  const speed = rate > 0 ? `  ${quantity(rate, unit)}/s` : "";
  if (!(total > 0)) return `${label}  ${quantity(done, unit)}${speed}`;
  const share = Math.min(Math.max(done / total, 0), 1);
  const filled = Math.round(share * WIDTH);
  const bar = `[${"#".repeat(filled)}${" ".repeat(WIDTH - filled)}]`;
  const left = rate > 0 && done < total ? `  ${duration((total - done) / rate)} left` : "";
  const percent = String(Math.floor(share * 100)).padStart(3);
  const amount = unit === "bytes" ? bytesText(done) : grouped(done);
  return `${label} ${bar} ${percent} %  ${amount} of ${quantity(total, unit)}${speed}${left}`;
}
