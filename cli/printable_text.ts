// deno-lint-ignore-file no-control-regex
/** Escape sequences longer than this are none: their text is shown again. */
const LONGEST_SEQUENCE = 256;

/**
 * Takes out of a stream of text what a terminal would obey instead of show: control characters but newline and tab,
 * ANSI escape sequences, also split over pieces, and direction overrides.
 */
export class PrintableText {
  private held = "";

  push(piece: string): string {
    const text = this.held + piece;
    this.held = "";
    // An escape sequence at the end may go on in the next piece.
    const open = /[\x1b\x9b\x9d][^\x07\n\x1b\x9b\x9d]*$/.exec(text);
    if (open !== null && text.length - open.index < LONGEST_SEQUENCE && !isWhole(open[0])) {
      this.held = text.slice(open.index);
      return printable(text.slice(0, open.index));
    }
    return printable(text);
  }

  /** What is left at the end. */
  flush(): string {
    const rest = printable(this.held);
    this.held = "";
    return rest;
  }
}

const CSI = /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]/g;
/** Operating system commands and the like end with BEL or ESC backslash. */
const OSC = /(?:\x1b[\]PX^_]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)/g;
const OTHER = /\x1b[ -/]*[0-~]/g;

function isWhole(sequence: string): boolean {
  const string = /^(?:\x1b[\]PX^_]|\x9d)/.test(sequence);
  const end = string ? /(?:\x1b\\|\x9c)/ : /^(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|^\x1b[ -/]*[0-OQ-WYZ\\`-~]/;
  return end.test(sequence);
}

export function printable(text: string): string {
  return text.replace(OSC, "").replace(CSI, "").replace(OTHER, "")
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, "");
}
