import { DsError } from "../core/errors.ts";
import { nameFault } from "./files.ts";
import type { HubAccess } from "./hub.ts";
import { isCommit } from "./hub_cache.ts";
import { networkFailure, request, requireStatus, Transient, withoutSecrets, withRetries } from "./http.ts";

/** A repository's commit and the names of its files. */
export interface HubListing {
  readonly commit: string;
  readonly names: readonly string[];
}

/** One file of a repository, as the hub describes it. */
export interface HubFile {
  readonly name: string;
  readonly url: string;
  readonly bytes: number;
  /** Names the blob in the cache. */
  readonly etag: string;
  /** Of large files; null for small ones, which are named by another hash. */
  readonly sha256: string | null;
}

const MOST_JSON_BYTES = 2 ** 25;
const SMALL_FILES =
  /^(config|generation_config|special_tokens_map|added_tokens|tokenizer[\w.-]*)\.json$|^chat_template\.(jinja|json)$/;
const INDEX = "model.safetensors.index.json";

async function getJson(access: HubAccess, url: string, what: string): Promise<unknown> {
  const text = await withRetries(
    `${what} from ${withoutSecrets(url)}`,
    access.patience,
    access.signal,
    async () => {
      const exchange = await request(url, access);
      try {
        requireStatus(exchange, [200], what);
        const decoder = new TextDecoder();
        const reader = exchange.response.body?.getReader();
        let found = "";
        for (let bytes = 0; reader !== undefined;) {
          const { value } = await reader.read().catch((error) => {
            throw networkFailure(error, undefined, access.signal);
          });
          if (value === undefined) break;
          exchange.alive();
          bytes += value.length;
          if (bytes > MOST_JSON_BYTES) {
            throw new DsError("io", `Cannot get ${what}: the answer is longer than ${MOST_JSON_BYTES} bytes`);
          }
          found += decoder.decode(value, { stream: true });
        }
        return found + decoder.decode();
      } finally {
        await exchange.end();
      }
    },
  );
  try {
    return JSON.parse(text);
  } catch {
    throw new DsError("io", `Cannot get ${what}: ${withoutSecrets(url)} did not answer with JSON`);
  }
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

export async function listRepository(access: HubAccess, id: string, revision: string): Promise<HubListing> {
  const url = `${access.endpoint}/api/models/${id}/revision/${encodeURIComponent(revision)}`;
  const answer = await getJson(access, url, `the list of files of ${id}`);
  const commit = field(answer, "sha");
  const siblings = field(answer, "siblings");
  if (typeof commit !== "string" || !isCommit(commit) || !Array.isArray(siblings)) {
    throw new DsError(
      "io",
      `Cannot get ${id}: ${withoutSecrets(url)} did not answer as a Hugging Face hub does`,
    );
  }
  const names = siblings.map((sibling) => field(sibling, "rfilename")).filter((name) =>
    typeof name === "string"
  );
  return { commit, names };
}

function fileUrl(access: HubAccess, id: string, commit: string, name: string): string {
  return `${access.endpoint}/${id}/resolve/${commit}/${name.split("/").map(encodeURIComponent).join("/")}`;
}

async function shards(access: HubAccess, id: string, listing: HubListing): Promise<string[]> {
  const answer = await getJson(access, fileUrl(access, id, listing.commit, INDEX), `${INDEX} of ${id}`);
  const map = field(answer, "weight_map");
  const values = typeof map === "object" && map !== null ? Object.values(map) : [];
  const names = [...new Set(values)].map((name) => {
    const fault = typeof name === "string" ? nameFault(name) : "it is not text";
    if (fault === null) return name as string;
    throw new DsError(
      "bad-data",
      `Cannot get ${id}: ${INDEX} names the file ${JSON.stringify(name)}, which is refused because ${fault}`,
    );
  });
  const missing = names.find((name) => !listing.names.includes(name));
  if (names.length > 0 && missing === undefined) return names.sort();
  const fault = missing === undefined
    ? "names no files"
    : `names ${missing}, which the repository does not hold`;
  throw new DsError("bad-data", `Cannot get ${id}: ${INDEX} ${fault}`);
}

/** The files ds needs, the small ones first; tokenizer and template where there are any. */
export async function chooseFiles(access: HubAccess, id: string, listing: HubListing): Promise<string[]> {
  const { names } = listing;
  const top = names.filter((name) => nameFault(name) === null && !name.includes("/"));
  const tensors = top.filter((name) => name.endsWith(".safetensors"));
  const gguf = top.filter((name) => name.endsWith(".gguf"));
  if (!top.includes("config.json") || tensors.length === 0) {
    if (gguf.length === 1) return gguf;
    const found = gguf.length > 1
      ? `${gguf.length} GGUF files to choose from`
      : `neither is among its ${names.length} files`;
    throw new DsError(
      "missing-input",
      `Cannot get ${id}: ds needs a config.json with safetensors files, or one GGUF file, and found ${found}; ` +
        "download the file you want and give its path with --model",
    );
  }
  const small = top.filter((name) => SMALL_FILES.test(name)).sort();
  if (top.includes(INDEX)) return [...small, INDEX, ...await shards(access, id, listing)];
  return [...small, ...(tensors.includes("model.safetensors") ? ["model.safetensors"] : tensors.sort())];
}

const unquoted = (text: string | null) => text?.replace(/^W\//, "").replace(/^"(.*)"$/, "$1") ?? null;

/** Size, name in the cache and hash of a file. The hub tells them before it redirects to where the bytes are. */
export async function lookUp(access: HubAccess, id: string, commit: string, name: string): Promise<HubFile> {
  const url = fileUrl(access, id, commit, name);
  const what = `${name} of ${id}`;
  return await withRetries(
    `${what} from ${withoutSecrets(url)}`,
    access.patience,
    access.signal,
    async () => {
      const isTold = (response: Response) => response.headers.has("x-linked-etag");
      const exchange = await request(url, { ...access, method: "HEAD", stopAt: isTold });
      try {
        const { headers } = exchange.response;
        if (!isTold(exchange.response)) requireStatus(exchange, [200], what);
        const etag = unquoted(headers.get("x-linked-etag") ?? headers.get("etag"));
        const size = headers.get("x-linked-size") ??
          (isTold(exchange.response) ? null : headers.get("content-length"));
        if (etag === null || !/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(etag)) {
          throw new Transient(`the server does not say which version of ${name} it has`);
        }
        if (size === null || !/^\d{1,13}$/.test(size)) {
          throw new Transient(
            `the server does not say how long ${name} is`,
          );
        }
        return { name, url, etag, bytes: Number(size), sha256: /^[0-9a-f]{64}$/.test(etag) ? etag : null };
      } finally {
        await exchange.end();
      }
    },
  );
}
