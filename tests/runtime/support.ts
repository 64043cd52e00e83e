import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import type { Patience } from "../../runtime/http.ts";

/** Runs `work` with a folder that is gone afterwards. */
export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "ds-test-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Bytes that do not compress and are the same for a seed. */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

export interface TestServer {
  /** `http://127.0.0.1:port`. */
  readonly origin: string;
  readonly seen: SeenRequest[];
}

type Answer = (request: SeenRequest, response: ServerResponse, count: number) => void;

/** A local server that ends with `work`; `answer` also gets the number of requests before this one. */
export async function withServer<T>(answer: Answer, work: (server: TestServer) => Promise<T>): Promise<T> {
  const seen: SeenRequest[] = [];
  const server = createServer((request, response) => {
    const facts = { method: request.method ?? "", path: request.url ?? "", headers: request.headers };
    seen.push(facts);
    answer(facts, response, seen.length - 1);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await work({ origin: `http://127.0.0.1:${port}`, seen });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Short waits, so that tests of retries are quick. */
export const IMPATIENT: Patience = {
  responseMs: 2000,
  stallMs: 400,
  attempts: 3,
  delayMs: 5,
  longestDelayMs: 50,
};

/** Answers a request for `bytes` as a file server does, ranges and If-Range included. */
export function serveBytes(
  request: SeenRequest,
  response: ServerResponse,
  bytes: Uint8Array,
  etag = '"one"',
  cutAfter = Infinity,
): void {
  const range = /^bytes=(\d+)-$/.exec(request.headers["range"] ?? "");
  const ifRange = request.headers["if-range"];
  const start = range !== null && (ifRange === undefined || ifRange === etag) ? Number(range[1]) : 0;
  const headers: Record<string, string> = { etag, "content-length": String(bytes.length - start) };
  if (start > 0) headers["content-range"] = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
  response.writeHead(start > 0 ? 206 : 200, headers);
  const body = bytes.subarray(start, Math.min(bytes.length, start + cutAfter));
  if (request.method === "HEAD") response.end();
  else if (start + body.length < bytes.length) {
    response.write(body, () => setTimeout(() => response.destroy(), 30));
  } else response.end(body);
}

/** A zip archive of one file, or with parts of it changed. */
export function zipOf(
  name: string,
  content: Uint8Array,
  options: { method?: number; listedBytes?: number; flags?: number; comment?: string; packed?: Uint8Array } =
    {},
): Uint8Array {
  const { method = 8, listedBytes = content.length, flags = 0, comment = "" } = options;
  const packed = options.packed ?? (method === 8 ? deflateRawSync(content) : content);
  const nameBytes = new TextEncoder().encode(name);
  const local = 30 + nameBytes.length;
  const central = 46 + nameBytes.length;
  const out = new Uint8Array(local + packed.length + central + 22 + comment.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, 0x04034b50, true);
  view.setUint16(8, method, true);
  view.setUint16(26, nameBytes.length, true);
  out.set(nameBytes, 30);
  out.set(packed, local);
  const at = local + packed.length;
  view.setUint32(at, 0x02014b50, true);
  view.setUint16(at + 8, flags, true);
  view.setUint16(at + 10, method, true);
  view.setUint32(at + 20, packed.length, true);
  view.setUint32(at + 24, listedBytes, true);
  view.setUint16(at + 28, nameBytes.length, true);
  out.set(nameBytes, at + 46);
  const end = at + central;
  view.setUint32(end, 0x06054b50, true);
  view.setUint16(end + 8, 1, true);
  view.setUint16(end + 10, 1, true);
  view.setUint32(end + 12, central, true);
  view.setUint32(end + 16, at, true);
  view.setUint16(end + 20, comment.length, true);
  out.set(new TextEncoder().encode(comment), end + 22);
  return out;
}

/** Matches a `DsError` of that kind, with all of the texts in its message. */
export function refusal(kind: string, ...texts: string[]): (error: unknown) => boolean {
  return (error) => {
    const { kind: found, message } = error as { kind?: string; message: string };
    if (found !== kind) throw new Error(`a DsError of kind ${kind} was expected, not ${found}: ${message}`);
    const missing = texts.find((text) => !message.includes(text));
    if (missing !== undefined) throw new Error(`"${missing}" is not in: ${message}`);
    return true;
  };
}
