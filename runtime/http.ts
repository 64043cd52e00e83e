import { DsError } from "../core/errors.ts";
import { errorCode, errorReason } from "./failures.ts";
import { pause } from "./lock.ts";

/** How long and how often a server is tried. */
export interface Patience {
  /** Milliseconds until a response must have begun. */
  readonly responseMs: number;
  /** Milliseconds without a byte after which a connection counts as lost. */
  readonly stallMs: number;
  /** Tries in a row that bring nothing. */
  readonly attempts: number;
  /** Before the second try; doubles from then on. A server's Retry-After wins, up to `longestDelayMs`. */
  readonly delayMs: number;
  readonly longestDelayMs: number;
}

export const PATIENCE: Patience = {
  responseMs: 30_000,
  stallMs: 60_000,
  attempts: 5,
  delayMs: 500,
  longestDelayMs: 60_000,
};

/** A failure that another try may not meet. */
export class Transient extends Error {
  readonly retryAfterMs: number | null;
  /** Whether this try brought something; then the count of tries begins anew. */
  readonly progressed: boolean;

  constructor(message: string, retryAfterMs: number | null = null, progressed = false) {
    super(message);
    this.name = "Transient";
    this.retryAfterMs = retryAfterMs;
    this.progressed = progressed;
  }
}

/** A URL fit for a message: without user name, password and query, any of which may be a secret. */
export function withoutSecrets(url: string): string {
  try {
    const { protocol, host, pathname } = new URL(url);
    return `${protocol}//${host}${pathname}`;
  } catch {
    return "(not a URL)";
  }
}

/** Why a connection failed. Runtimes hide the reason at different depths, and some quote the whole URL. */
export function networkReason(error: unknown): string {
  let deepest: unknown = error;
  for (let depth = 0; depth < 5; depth++) {
    const cause = (deepest as { cause?: unknown } | null)?.cause;
    if (cause === undefined || cause === null) break;
    deepest = cause;
  }
  const reason = errorCode(deepest) !== undefined || errorCode(error) === undefined
    ? errorReason(deepest)
    : errorReason(error);
  return reason.replace(/\bhttps?:\/\/[^\s'")]+/g, (url) => withoutSecrets(url)).slice(0, 300);
}

export interface Exchange {
  readonly response: Response;
  /** The URL that answered, redirects followed. */
  readonly url: string;
  /** Ends the exchange; must be called, and nothing may be read afterwards. */
  end(): Promise<void>;
  /** Restarts the clock that ends a silent connection. */
  alive(): void;
}

export interface RequestOptions {
  readonly method?: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly patience: Patience;
  /** Called for each redirect before it is followed; true ends the chain with that response. */
  readonly stopAt?: (response: Response) => boolean;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const TRY_AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);

function retryAfter(response: Response): number | null {
  const text = response.headers.get("retry-after");
  if (text === null) return null;
  if (/^\d{1,6}$/.test(text.trim())) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}

function firstStep(url: string, given: Readonly<Record<string, string>>): { at: URL; headers: Headers } {
  let at: URL;
  try {
    at = new URL(url);
  } catch {
    throw new DsError(
      "usage",
      "Cannot download as the address must be a URL such as https://host/file: found something else",
    );
  }
  if (at.protocol !== "http:" && at.protocol !== "https:") {
    throw new DsError(
      "usage",
      `Cannot download ${withoutSecrets(url)}: only http and https addresses can be fetched`,
    );
  }
  // Compressed transfers cannot be resumed, and may grow without bound.
  const headers = new Headers({ "accept-encoding": "identity", "user-agent": "ds", ...given });
  if (at.username !== "" || at.password !== "") {
    const user = `${decodeURIComponent(at.username)}:${decodeURIComponent(at.password)}`;
    headers.set("authorization", `Basic ${Buffer.from(user).toString("base64")}`);
    at.username = at.password = "";
  }
  return { at, headers };
}

/**
 * One request, redirects followed here because runtimes differ in what they send along: a token goes only to the
 * host it was given for.
 *
 * @throws {Transient} where the connection fails or the server says to come again; {DsError} otherwise
 */
export async function request(url: string, options: RequestOptions): Promise<Exchange> {
  const { patience, signal } = options;
  let { at, headers } = firstStep(url, options.headers ?? {});
  signal?.throwIfAborted();
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const watch = (ms: number, what: string) => {
    clearTimeout(timer);
    timer = setTimeout(() => controller.abort(new Transient(`${what} for ${ms / 1000} s`)), ms);
  };
  const stop = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  };
  try {
    for (let hops = 0;; hops++) {
      watch(patience.responseMs, `${at.host} did not answer`);
      const response = await fetch(at, {
        method: options.method ?? "GET",
        headers,
        redirect: "manual",
        signal: controller.signal,
      });
      const location = response.headers.get("location");
      const redirected = REDIRECTS.has(response.status) && location !== null;
      if (!redirected || options.stopAt?.(response) === true) {
        watch(patience.stallMs, `${at.host} sent nothing`);
        return {
          response,
          url: at.href,
          alive: () => watch(patience.stallMs, `${at.host} sent nothing`),
          async end() {
            stop();
            await response.body?.cancel().catch(() => {});
          },
        };
      }
      await response.body?.cancel().catch(() => {});
      const next = new URL(location, at);
      const downgrade = at.protocol === "https:" && next.protocol !== "https:";
      if (hops >= 10 || downgrade || !/^https?:$/.test(next.protocol)) {
        const why = hops >= 10
          ? "redirects without end"
          : `redirects to the insecure ${withoutSecrets(next.href)}`;
        throw new DsError("io", `Cannot download ${withoutSecrets(url)}: the server ${why}`);
      }
      if (next.origin !== at.origin) {
        headers = new Headers(headers);
        headers.delete("authorization");
      }
      at = next;
    }
  } catch (error) {
    stop();
    throw networkFailure(error, controller.signal, signal);
  }
}

/** What a failed fetch or read means: the caller's abort, a lost connection, or a refusal. */
export function networkFailure(error: unknown, own?: AbortSignal, callers?: AbortSignal): unknown {
  if (callers?.aborted) return callers.reason;
  if (error instanceof DsError || error instanceof Transient) return error;
  if (own?.aborted && own.reason instanceof Transient) return own.reason;
  return new Transient(networkReason(error));
}

/** Refuses every status but those given. `what` is for the message. */
export function requireStatus(exchange: Exchange, wanted: readonly number[], what: string): void {
  const { status } = exchange.response;
  if (wanted.includes(status)) return;
  if (TRY_AGAIN.has(status)) {
    throw new Transient(`the server answered ${status}`, retryAfter(exchange.response));
  }
  const where = withoutSecrets(exchange.url);
  const hint = status === 401 || status === 403
    ? "access is not granted; a token or the acceptance of the model's terms may be needed"
    : status === 404 || status === 410
    ? "there is no such file"
    : "the request was refused";
  throw new DsError(
    "missing-input",
    `Cannot get ${what} from ${where}: the server answered ${status}, ${hint}`,
  );
}

/**
 * Runs `once` until it succeeds, waiting between tries.
 *
 * @throws {DsError} kind "missing-input" when the tries are used up
 */
export async function withRetries<T>(
  what: string,
  patience: Patience,
  signal: AbortSignal | undefined,
  once: () => Promise<T>,
): Promise<T> {
  let failed = 0;
  // Bounds a server that sends a byte per connection.
  for (let total = 1;; total++) {
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof Transient) || signal?.aborted) throw error;
      failed = error.progressed ? 1 : failed + 1;
      if (failed >= patience.attempts || total >= 20 * patience.attempts) {
        const tries = total === 1 ? "one try" : `${total} tries`;
        throw new DsError("missing-input", `Cannot get ${what} after ${tries}: ${error.message}`, {
          cause: error,
        });
      }
      const delay = error.retryAfterMs ?? patience.delayMs * 2 ** (failed - 1);
      await pause(Math.min(delay, patience.longestDelayMs), signal);
    }
  }
}
