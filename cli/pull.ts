import { DsError } from "../core/errors.ts";
import { pullHuggingFace } from "../runtime/hub.ts";
import { parseHubModel } from "../runtime/hub_cache.ts";
import { type NamedModel, namedModel } from "../runtime/models.ts";
import { pullModel } from "../runtime/pull.ts";
import { jsonLine } from "./json.ts";
import { bytesText } from "./numbers.ts";
import type { PullOptions } from "./options/others.ts";
import type { Terminal } from "./terminal.ts";

/** What `ds pull` got. */
interface Pulled {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** Of a model that is one file. */
  readonly sha256: string | null;
  /** Of a Hugging Face repository. */
  readonly commit: string | null;
}

/** `ds pull`: gets a model, by name or Hugging Face id. */
export async function pullCommand({ name, force }: PullOptions, terminal: Terminal): Promise<void> {
  const named = namedModel(name);
  if (named?.source === "embedded") {
    const note = `${named.name} is part of ds: there is nothing to get`;
    const here = { name: named.name, path: null, bytes: named.bytes, sha256: named.sha256, commit: null };
    return terminal.out(terminal.json ? jsonLine(here) : `${note}\n`);
  }
  const bar = terminal.progress(`Getting ${name}`, 0, "bytes");
  let pulled: Pulled;
  try {
    const onProgress = (done: number, total: number) => bar.update(done, total);
    pulled = named === null
      ? await pullHub(name, force, onProgress, terminal)
      : await pullNamed(named, force, onProgress, terminal);
  } finally {
    bar.end();
  }
  terminal.out(
    terminal.json ? jsonLine(pulled) : `${pulled.name}: ${pulled.path} (${bytesText(pulled.bytes)})\n`,
  );
}

type OnProgress = (done: number, total: number) => void;

async function pullNamed(
  named: NamedModel,
  force: boolean,
  onProgress: OnProgress,
  { signal }: Terminal,
): Promise<Pulled> {
  const { path, bytes } = await pullModel(named.name, { onProgress, signal, force });
  return { name: named.name, path, bytes, sha256: named.sha256, commit: null };
}

async function pullHub(
  id: string,
  force: boolean,
  onProgress: OnProgress,
  terminal: Terminal,
): Promise<Pulled> {
  if (parseHubModel(id) === null) {
    throw new DsError(
      "missing-input",
      `Cannot get ${id}: ds knows smollm2-135m and stories260k, and Hugging Face ids like org/name`,
    );
  }
  if (force) {
    terminal.note("--force has no effect on Hugging Face models: their files are checked one by one");
  }
  const { path, bytes, commit } = await pullHuggingFace(id, { onProgress, signal: terminal.signal });
  return { name: id, path, bytes, sha256: null, commit };
}
