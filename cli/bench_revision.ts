import { readFileSync, statSync } from "node:fs";

/** The commit this copy of ds was checked out at; null where it is no checkout (a package, a single executable). */
export function sourceRevision(): string | null {
  const head = gitFile("HEAD")?.trim() ?? "";
  if (isCommit(head)) return head;
  const name = /^ref: (refs\/[\w./-]+)$/.exec(head)?.[1];
  if (name === undefined || name.includes("..")) return null;
  const loose = gitFile(name)?.trim() ?? "";
  if (isCommit(loose)) return loose;
  const line = (gitFile("packed-refs") ?? "").split("\n").find((packed) => packed.endsWith(` ${name}`));
  const packed = line?.split(" ")[0] ?? "";
  return isCommit(packed) ? packed : null;
}

function gitFile(name: string): string | null {
  try {
    const url = new URL(`../.git/${name}`, import.meta.url);
    return statSync(url).size > 2 ** 24 ? null : readFileSync(url, "utf8");
  } catch {
    return null;
  }
}

function isCommit(text: string): boolean {
  return /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(text);
}
