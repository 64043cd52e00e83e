import process from "node:process";
import { createInterface } from "node:readline";

export type DecodeMode = "dense" | "double-sparsity";

/** What the coordinator asks of an engine, a line of JSON each, and what comes back. */
export interface Requests {
  load: {
    ask: {
      readonly model: string;
      /** Tokens to make room for. */
      readonly context: number;
      readonly threads: number;
      /** Of ds. */
      readonly backend: string;
    };
    answer: EngineFacts;
  };
  /** Appends tokens to those cached; they stay. */
  fill: {
    ask: {
      readonly ids: readonly number[];
      /** ds writes random K and V of the model's means and deviations instead, as `ds bench` does. */
      readonly synthetic: boolean;
    };
    answer: { readonly ms: number };
  };
  /** Decodes the given tokens one by one after those cached, up to the likeliest next one each, and forgets them. */
  decode: {
    ask: { readonly ids: readonly number[]; readonly mode: DecodeMode };
    answer: {
      readonly stepMs: readonly number[];
      readonly chosen: readonly number[];
    };
  };
  /** Forgets everything, computes a prompt up to the likeliest next token, and forgets that too. */
  prefill: {
    ask: { readonly ids: readonly number[] };
    answer: { readonly ms: number; readonly chosen: number };
  };
  /** Forgets everything and continues a prompt with the likeliest tokens. */
  greedy: {
    ask: { readonly ids: readonly number[]; readonly count: number };
    answer: { readonly chosen: readonly number[] };
  };
}

export interface EngineFacts {
  /** Name and version. */
  readonly engine: string;
  /** JavaScript runtime and version. */
  readonly runtime: string;
  /** How it computes: threads, dtypes and the like. */
  readonly settings: string;
}

export type RequestName = keyof Requests;

export type Ask<Name extends RequestName> = Requests[Name]["ask"];

export type Answer<Name extends RequestName> = Promise<
  Requests[Name]["answer"]
>;

/** The two engines that are compared. */
export type Engine = {
  [Name in RequestName]: (ask: Ask<Name>) => Answer<Name>;
};

/** Answers requests from standard input, one at a time, until it ends. */
export async function serve(engine: Engine): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const { name, ask } = JSON.parse(line) as { name: RequestName; ask: never };
    let reply: object;
    try {
      reply = { answer: await engine[name](ask) };
    } catch (error) {
      reply = {
        error: error instanceof Error ? error.stack ?? error.message : String(error),
      };
    }
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}
