import type { BenchRow } from "./commands.ts";
import type { TorchRow } from "./torch.ts";

/** One bar of the chart. */
export interface Bar {
  /** Bars of one group stand together. */
  readonly group: string;
  readonly name: string;
  readonly us: number;
}

const HEADER = ["what", "by", "median", "GB/s", "of copies", "gain", "byte limit", "tokens/s", "wanted"];

/** What was found, line by line. */
export class Report {
  readonly records: unknown[] = [];
  readonly bars: Bar[] = [];
  private readonly lines: (readonly string[])[] = [HEADER];
  private readonly notes: string[] = [];

  record(record: unknown): void {
    this.records.push(record);
  }

  note(text: string): void {
    this.notes.push(text);
  }

  add(backend: string, what: string, row: BenchRow, wanted = ""): void {
    this.bars.push({ group: what, name: `${backend} ${row.mode}`, us: row.medianUs });
    this.lines.push([
      what,
      `${backend} ${row.mode}`,
      `${row.medianUs.toFixed(1)} us (${row.clock})`,
      number(row.gigabytesPerSecond, 0),
      row.fractionOfCeiling === null ? "" : `${(row.fractionOfCeiling * 100).toFixed(0)} %`,
      number(row.speedupOverDense, 2, "x"),
      number(row.byteLimitSpeedup, 1, "x"),
      number(row.tokensPerSecond, 1),
      wanted,
    ]);
  }

  addTorch(what: string, { backend, medianUs, reason, error }: TorchRow): void {
    if (medianUs === null) {
      this.lines.push([what, backend, "-", "", "", "", "", "", reason ?? ""]);
      return;
    }
    this.bars.push({ group: what, name: backend, us: medianUs });
    const same = error === undefined ? "other tensors" : `differs by ${error.toExponential(1)}`;
    this.lines.push([what, backend, `${medianUs.toFixed(1)} us (device)`, "", "", "", "", "", same]);
  }

  /** The lines by what was timed, then the notes. */
  table(): string {
    const [header, ...rows] = this.lines;
    const order = [...new Set(rows.map(([what]) => what))];
    const sorted = [header!, ...order.flatMap((what) => rows.filter((row) => row[0] === what))];
    const widths = header!.map((_, column) => Math.max(...sorted.map((row) => row[column]!.length)));
    const lines = sorted.map((row) => row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd());
    return [...lines, ...this.notes].join("\n");
  }
}

function number(value: number | null, digits: number, unit = ""): string {
  return value === null ? "" : value.toFixed(digits) + unit;
}
