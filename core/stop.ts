/** Holds back text that may be the beginning of a stop string, so that a stop string is never shown in part. */
export class StopMatcher {
  private readonly stops: readonly string[];
  private held = "";

  /** @throws {RangeError} a stop string is empty */
  constructor(stops: readonly string[]) {
    if (stops.includes("")) throw new RangeError("Cannot stop at an empty string: give --stop some text");
    this.stops = stops;
  }

  /** @returns what may be shown now, and whether a stop string was met (it is not shown) */
  push(text: string): { text: string; stopped: boolean } {
    this.held += text;
    const found = this.stops.map((stop) => this.held.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      const shown = this.held.slice(0, Math.min(...found));
      this.held = "";
      return { text: shown, stopped: true };
    }
    let keep = 0;
    for (const stop of this.stops) {
      for (let length = Math.min(stop.length - 1, this.held.length); length > keep; length--) {
        if (this.held.endsWith(stop.slice(0, length))) keep = length;
      }
    }
    const shown = this.held.slice(0, this.held.length - keep);
    this.held = this.held.slice(this.held.length - keep);
    return { text: shown, stopped: false };
  }

  /** What is still held back, at the end. */
  flush(): string {
    const rest = this.held;
    this.held = "";
    return rest;
  }
}
