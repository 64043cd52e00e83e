import { spell } from "./byte_level.ts";
import { Pattern } from "./pattern.ts";

/**
 * One step on the way from text to words.
 *
 * @param atStart whether the piece begins the whole text
 */
export type SplitStep = (piece: string, atStart: boolean) => readonly string[];

/** What becomes of the matches of a rule. */
export type SplitBehaviour =
  | "Isolated"
  | "Removed"
  | "MergedWithPrevious"
  | "MergedWithNext"
  | "Contiguous";

export const SPLIT_BEHAVIOURS: readonly SplitBehaviour[] = [
  "Isolated",
  "Removed",
  "MergedWithPrevious",
  "MergedWithNext",
  "Contiguous",
];

/** Starts and ends of matches: [start, end, start, end, …]. */
type Matches = (text: string) => readonly number[];

interface Stretch {
  start: number;
  end: number;
  readonly isMatch: boolean;
}

/** @param invert what lies between the matches counts as the match */
export function splitBy(matches: Matches, behaviour: SplitBehaviour, invert = false): SplitStep {
  return (piece) => {
    const stretches: Stretch[] = [];
    let done = 0;
    const found = matches(piece);
    for (let at = 0; at < found.length; at += 2) {
      const start = found[at]!;
      const end = found[at + 1]!;
      if (start > done) stretches.push({ start: done, end: start, isMatch: invert });
      stretches.push({ start, end, isMatch: !invert });
      done = end;
    }
    if (done < piece.length) stretches.push({ start: done, end: piece.length, isMatch: invert });
    return arrange(stretches, behaviour)
      .filter(({ start, end }) => end > start)
      .map(({ start, end }) => piece.slice(start, end));
  };
}

function arrange(stretches: readonly Stretch[], behaviour: SplitBehaviour): readonly Stretch[] {
  switch (behaviour) {
    case "Isolated":
      return stretches;
    case "Removed":
      return stretches.filter(({ isMatch }) => !isMatch);
    case "Contiguous":
      return joined(stretches, (one, last) => one.isMatch === last.isMatch);
    case "MergedWithPrevious":
      return joined(stretches, (one, last) => one.isMatch && !last.isMatch);
    case "MergedWithNext":
      return joinedBackwards(stretches);
  }
}

/** Joins a stretch to what is before it where `joins` says so of it and its neighbour. */
function joined(stretches: readonly Stretch[], joins: (one: Stretch, last: Stretch) => boolean): Stretch[] {
  const result: Stretch[] = [];
  let last: Stretch | null = null;
  for (const one of stretches) {
    const open = result.at(-1);
    if (last !== null && open !== undefined && joins(one, last)) open.end = one.end;
    else result.push({ ...one });
    last = one;
  }
  return result;
}

function joinedBackwards(stretches: readonly Stretch[]): Stretch[] {
  const result: Stretch[] = [];
  let last: Stretch | null = null;
  for (const one of stretches.toReversed()) {
    const open = result.at(-1);
    if (last !== null && open !== undefined && one.isMatch && !last.isMatch) open.start = one.start;
    else result.push({ ...one });
    last = one;
  }
  return result.reverse();
}

/** @throws {PatternError} */
export function splitByRule(rule: string, behaviour: SplitBehaviour = "Isolated", invert = false): SplitStep {
  const pattern = new Pattern(rule);
  return splitBy((text) => pattern.matches(text), behaviour, invert);
}

export function splitByText(wanted: string, behaviour: SplitBehaviour, invert: boolean): SplitStep {
  return splitBy(
    (text) => {
      const found: number[] = [];
      if (wanted === "") return found;
      for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
        found.push(at, at + wanted.length);
      }
      return found;
    },
    behaviour,
    invert,
  );
}

/** Spells every piece in the characters of a byte-level vocabulary. */
export const spellPieces: SplitStep = (piece) => [spell(piece)];

/** @throws {PatternError} */
export function splitSteps(steps: readonly SplitStep[]): SplitStep {
  return (piece, atStart) => {
    let pieces: readonly string[] = [piece];
    for (const step of steps) pieces = pieces.flatMap((one, index) => step(one, atStart && index === 0));
    return pieces;
  };
}
