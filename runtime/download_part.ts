import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { cannotWrite } from "./failures.ts";
import { withoutSecrets } from "./http.ts";

/** What lies in `.part` came from there, and was that version of it. */
interface PartFacts {
  readonly url: string;
  readonly validator: string | null;
}

/** How much of `url` lies in `part` and may be kept: nothing unless its notes say that it belongs there. */
export async function findPart(
  part: string,
  url: string,
  maxBytes: number,
  hashIsKnown: boolean,
): Promise<{ offset: number; validator: string | null }> {
  const nothing = { offset: 0, validator: null };
  const size = await stat(part).then((facts) => facts.isFile() ? facts.size : 0, () => 0);
  if (size === 0 || size > maxBytes) return nothing;
  let facts: Partial<PartFacts> | null;
  try {
    facts = JSON.parse(await readFile(`${part}.json`, "utf8"));
  } catch {
    return nothing;
  }
  if (facts?.url !== withoutSecrets(url)) return nothing;
  const validator = typeof facts.validator === "string" ? facts.validator : null;
  // Without a version to name, only the hash can tell that the two pieces fit.
  return validator === null && !hashIsKnown ? nothing : { offset: size, validator };
}

export async function discardPart(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(`${part}.json`, { force: true });
}

function validatorOf(response: Response): string | null {
  const etag = response.headers.get("etag");
  if (etag !== null && !etag.startsWith("W/")) return etag;
  return etag === null ? response.headers.get("last-modified") : null;
}

/** Notes of which file, and which version of it, `part` is the beginning. @throws {DsError} kind "io" or "cannot-create" */
export async function notePart(part: string, url: string, response: Response): Promise<void> {
  const facts: PartFacts = { url: withoutSecrets(url), validator: validatorOf(response) };
  await writeFile(`${part}.json`, JSON.stringify(facts)).catch((error) => {
    throw cannotWrite(part, error);
  });
}
