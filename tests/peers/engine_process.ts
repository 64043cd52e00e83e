import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Answer, Ask, RequestName } from "./requests.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

export const RUNTIMES = {
  // The peer's package.json beside the script would else be taken for the project's.
  deno: ["npx", "-y", "deno@2.9", "run", "-A", "--config", "deno.json"],
  bun: ["npx", "-y", "bun@1.4", "run"],
  node: ["npx", "-y", "node@24"],
} as const;

export type RuntimeName = keyof typeof RUNTIMES;

/** An engine in a process of its own. */
export class EngineProcess {
  private readonly script: string;
  private readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  private readonly replies: AsyncIterator<string>;
  private readonly lines: Interface;
  /** Shown only where the process fails: runtimes and package tools chat. */
  private complaints = "";

  constructor(script: string, runtime: RuntimeName) {
    this.script = script;
    const [command, ...words] = RUNTIMES[runtime];
    this.child = spawn(command, [...words, `tests/peers/${script}`], {
      cwd: root,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.child.stderr.on("data", (bytes: Uint8Array) => {
      this.complaints = (this.complaints + new TextDecoder().decode(bytes))
        .slice(-4000);
    });
    this.child.on("error", (error) => this.complaints += String(error));
    this.child.stdin.on("error", () => {});
    this.lines = createInterface({ input: this.child.stdout });
    this.replies = this.lines[Symbol.asyncIterator]();
  }

  /** @throws what the engine threw */
  async ask<Name extends RequestName>(
    name: Name,
    ask: Ask<Name>,
  ): Answer<Name> {
    this.child.stdin.write(`${JSON.stringify({ name, ask })}\n`);
    const line = await this.replies.next();
    if (line.done) {
      throw new Error(
        `${this.script} ended during "${name}":\n${this.complaints}`,
      );
    }
    const { answer, error } = JSON.parse(line.value);
    if (error !== undefined) {
      throw new Error(`${this.script} failed at "${name}": ${error}`);
    }
    return answer;
  }

  /** Ends the process and waits for it. */
  async close(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("close", resolve));
    this.child.stdin.end();
    const patience = setTimeout(() => this.child.kill(), 5000);
    await ended;
    clearTimeout(patience);
  }
}
