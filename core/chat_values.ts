import type { Environment, Interpreter } from "@huggingface/jinja";

/** A value of the template language. */
export type Value = ReturnType<Interpreter["evaluate"]>;

const ESCAPES: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export const textOf = (value: Value): string | null =>
  value.type === "StringValue" ? value.value as string : null;

/** The values inside a list or mapping with their keys; null for other values. */
export function childrenOf(value: Value): Iterable<readonly [string, Value]> | null {
  if (Array.isArray(value.value)) return (value.value as Value[]).map((child) => ["", child] as const);
  return value.value instanceof Map ? value.value as ReadonlyMap<string, Value> : null;
}

/** What Python's `str` makes of a value, as far as it differs from the interpreter's own; null where it does not. */
export function pythonText(value: Value): string | null {
  switch (value.type) {
    case "BooleanValue":
      return value.value ? "True" : "False";
    case "NullValue":
      return "None";
    case "ArrayValue":
    case "TupleValue":
    case "ObjectValue":
      return pythonForm(value);
    default:
      return null;
  }
}

/** Python's `repr`. */
function pythonForm(value: Value): string {
  const text = textOf(value);
  if (text !== null) {
    const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
    return quote + text.replace(/[\\\n\r\t]/g, (one) =>
      ESCAPES[one]!).replaceAll("'", quote === "'" ? "\\'" : "'") +
      quote;
  }
  switch (value.type) {
    case "ArrayValue":
      return `[${(value.value as Value[]).map(pythonForm).join(", ")}]`;
    case "TupleValue": {
      const parts = (value.value as Value[]).map(pythonForm);
      return parts.length === 1 ? `(${parts[0]},)` : `(${parts.join(", ")})`;
    }
    case "ObjectValue": {
      const entries = [...value.value as ReadonlyMap<string, Value>];
      return `{${
        entries.map(([key, one]) => `'${key.replace(/[\\']/g, "\\$&")}': ${pythonForm(one)}`).join(", ")
      }}`;
    }
    case "UndefinedValue":
      return "Undefined";
    default:
      return pythonText(value) ?? value.toString();
  }
}

/**
 * Jinja's selectattr and rejectattr, where a missing attribute counts as undefined (the interpreter's own drop such items
 * whatever the test).
 *
 * @param keeps whether items that pass stay or go
 * @returns null where the arguments are not those of these filters
 */
export function filterByAttribute(
  list: Value,
  args: readonly Value[],
  keeps: boolean,
  environment: Environment,
): Value[] | null {
  const path = args[0] === undefined ? null : textOf(args[0]);
  if (!Array.isArray(list.value) || path === null) return null;
  const name = args[1] === undefined ? null : textOf(args[1]);
  const test = name === null ? null : environment.tests.get(name);
  if (args.length > 1 && !test) return null;
  const missing = environment.lookupVariable("");
  return (list.value as Value[]).filter((item) => {
    const found = path.split(".").reduce<Value>(
      (one, key) =>
        (one.value instanceof Map ? (one.value as ReadonlyMap<string, Value>).get(key) : undefined) ??
          missing,
      item,
    );
    return (test ? test(found, ...args.slice(2)) : found.__bool__().value) === keeps;
  });
}
