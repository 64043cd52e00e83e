import { openReference } from "../../backends/reference/backend.ts";
import type { Backend } from "../../core/backend.ts";

export interface Opener {
  readonly name: string;
  readonly open: () => Promise<Backend>;
  /** Ops whose error bound is looser here than the op's own, and by how much; say why beside it. */
  readonly bounds?: Readonly<Record<string, number>>;
}

/** The backends held to the contract. A new one joins by a line here; one that cannot open is skipped out loud. */
export const OPENERS: readonly Opener[] = [
  { name: "reference", open: openReference },
];
