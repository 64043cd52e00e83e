import { openModel } from "../../runtime/load.ts";
import { type EnginePath, type GoldenPath } from "./greedy_path.ts";
import { textIds } from "./ids.ts";
import { EngineProcess } from "./engine_process.ts";
import type { PeerOptions } from "./options.ts";
import type { DecodeMode, EngineFacts } from "./requests.ts";
import { type Row, rowOf } from "./rows.ts";
import { takeTurns } from "./turns.ts";

export interface DecodePoint {
  /** N: tokens cached at the last step of a turn. */
  readonly context: number;
  readonly modes: readonly DecodeMode[];
}

/** Steps per turn; the first wakes threads and caches and does not count. */
const STEPS = 9;
const FIRST_STEP = 1;
/** Turns of a prefill: each takes seconds. */
const MOST_PREFILLS = 5;

/** Both engines with one model loaded, in processes of their own; only one of them ever works. */
export class Pair {
  readonly facts: { readonly ds: EngineFacts; readonly peer: EngineFacts };
  private readonly model: string;
  private readonly ids: readonly number[];
  private readonly ds: EngineProcess;
  private readonly peer: EngineProcess;
  private cached = 0;

  private constructor(
    model: string,
    ids: readonly number[],
    engines: { readonly ds: EngineProcess; readonly peer: EngineProcess },
    facts: Pair["facts"],
  ) {
    this.model = model;
    this.ids = ids;
    this.ds = engines.ds;
    this.peer = engines.peer;
    this.facts = facts;
  }

  static async open(
    name: string,
    path: string,
    context: number,
    { runtime, threads, backend }: PeerOptions,
  ): Promise<Pair> {
    const opened = await openModel(path);
    const ids = textIds(opened, context);
    await opened.checkpoint.close();
    const engines = {
      ds: new EngineProcess("ds_process.ts", runtime),
      peer: new EngineProcess("peer_process.ts", "node"),
    };
    try {
      const load = { model: path, context, threads, backend };
      const peer = await engines.peer.ask("load", load);
      const ds = await engines.ds.ask("load", load);
      return new Pair(name, ids, engines, { ds, peer });
    } catch (error) {
      await Promise.all([engines.ds.close(), engines.peer.close()]);
      throw error;
    }
  }

  async greedyPath(
    { promptIds, golden }: GoldenPath,
    count: number,
  ): Promise<EnginePath[]> {
    const paths: EnginePath[] = [];
    for (
      const [engine, name] of [[this.ds, "ds"], [
        this.peer,
        "node-llama-cpp",
      ]] as const
    ) {
      const { chosen: free } = await engine.ask("greedy", {
        ids: promptIds,
        count,
      });
      let guided: readonly number[] | null = null;
      if (golden !== null) {
        const last = promptIds.length - 1;
        await engine.ask("fill", {
          ids: promptIds.slice(0, last),
          synthetic: false,
        });
        const ids = [promptIds[last], ...golden.ids.slice(0, -1)];
        ({ chosen: guided } = await engine.ask("decode", {
          ids,
          mode: "dense",
        }));
      }
      paths.push({ engine: name, free, guided });
    }
    this.cached = 0;
    return paths;
  }

  async prefillRow(tokens: number, rounds: number): Promise<Row> {
    const ids = this.ids.slice(0, tokens);
    const prefill = async (
      engine: EngineProcess,
    ) => [(await engine.ask("prefill", { ids })).ms];
    const samples = await takeTurns(
      [{ name: "peer", run: () => prefill(this.peer) }, {
        name: "ds",
        run: () => prefill(this.ds),
      }],
      Math.min(rounds, MOST_PREFILLS) + 1,
      { discard: 0 },
    );
    this.cached = 0;
    // The first of each compiles and touches memory for the first time.
    const [ds, peer] = ["ds", "peer"].map((name) => samples.get(name)!.slice(1));
    return rowOf(
      { model: this.model, mode: "prefill", context: tokens },
      ds,
      peer,
    );
  }

  /** @param synthetic whether ds fills its cache at random; contexts must ascend */
  async decodeRows(
    { context, modes }: DecodePoint,
    rounds: number,
    synthetic: boolean,
  ): Promise<Row[]> {
    const start = context - STEPS;
    const missing = this.ids.slice(this.cached, start);
    await this.peer.ask("fill", { ids: missing, synthetic });
    await this.ds.ask("fill", { ids: missing, synthetic });
    this.cached = start;
    const ids = this.ids.slice(start, context);
    const turn = (engine: EngineProcess, name: string, mode: DecodeMode) => ({
      name,
      run: async () => (await engine.ask("decode", { ids, mode })).stepMs,
    });
    const samples = await takeTurns(
      [
        turn(this.peer, "peer", "dense"),
        ...modes.map((mode) => turn(this.ds, mode, mode)),
      ],
      rounds,
      { discard: FIRST_STEP },
    );
    return modes.map((mode) =>
      rowOf(
        { model: this.model, mode, context },
        samples.get(mode)!,
        samples.get("peer")!,
      )
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.ds.close(), this.peer.close()]);
  }
}
