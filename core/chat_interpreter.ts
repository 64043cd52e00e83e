import { Environment, Interpreter } from "@huggingface/jinja";
import { childrenOf, filterByAttribute, pythonText, textOf, type Value } from "./chat_values.ts";
import { DsError } from "./errors.ts";

/** A template comes out of a file: it may not spend more than this, whatever it says. */
const STEPS_AT_LEAST = 3_000_000;
const STEPS_PER_CHARACTER = 4;
const CHARACTERS_PER_STEP = 32;
const STEPS_PER_TURN = 10;
const MAX_SIZE = 2 ** 23;
const MAX_CALLS = 400;
const MAX_VALUE_NESTING = 100;
const MAX_INDENT = 64;

type Evaluate = Interpreter["evaluate"];
type Statement = NonNullable<Parameters<Evaluate>[0]>;
type FunctionLike = Extract<Value, { type: string; value: (...args: never[]) => unknown }>;

/** Nodes of the parsed template, as far as they are read here. */
interface Node extends Statement {
  readonly operand?: Node;
  readonly filter?: Node;
  readonly callee?: Node;
  readonly object?: Node;
  readonly property?: Node;
  readonly iterable?: Node;
  readonly lhs?: Node;
  readonly test?: Node;
  readonly assignee?: Node;
  readonly argument?: Node;
  readonly value?: unknown;
  readonly args?: readonly Node[];
  readonly body?: readonly Node[];
  readonly alternate?: readonly Node[];
  readonly defaultBlock?: readonly Node[];
  readonly operator?: { readonly value: string };
  readonly left?: Node;
  readonly right?: Node;
}

/** A node whose value is known already. */
class Settled {
  readonly type = "Settled";
  readonly result: Value;

  constructor(result: Value) {
    this.result = result;
  }
}

interface Measure {
  /** Characters of text, and one for every other value, all levels together. */
  readonly size: number;
  readonly nesting: number;
}

/** Filters that look at a value without reading it through. */
const GLANCING_FILTERS: readonly string[] = ["length", "first", "last", "default"];
/** Statements, which print nothing of their own; what else stands in a block is printed. */
const SILENT: readonly string[] = [
  "Program",
  "Set",
  "If",
  "For",
  "Macro",
  "CallStatement",
  "FilterStatement",
  "Break",
  "Continue",
  "Comment",
];
/** Filters whose result may be larger than what they are given. */
const GROWING_FILTERS: readonly string[] = ["replace", "join", "indent", "tojson"];

function refuse(reason: string): DsError {
  return new DsError(
    "bad-data",
    `Cannot render the chat template as ${reason}; use --raw, or another template`,
  );
}

/** Interprets a template, counting what it costs: neither time nor memory may run away. */
export class BoundedInterpreter extends Interpreter {
  #steps: number;
  #calls = 0;
  readonly #measured = new WeakMap<object, Measure>();
  /** Nodes whose value is only glanced at by the node around them. */
  readonly #glanced = new WeakSet<object>();
  readonly #called = new WeakSet<object>();
  readonly #looped = new WeakSet<object>();
  readonly #stored = new WeakSet<object>();
  readonly #printed = new WeakSet<object>();
  readonly #seen = new WeakSet<object>();

  /** @param inputSize characters of the conversation */
  constructor(environment: Environment, inputSize: number) {
    super(environment);
    this.#steps = STEPS_AT_LEAST + STEPS_PER_CHARACTER * inputSize;
  }

  /** @throws {DsError} kind "bad-data" once the template has spent what it may */
  spend(steps: number): void {
    this.#steps -= steps;
    if (!(this.#steps >= 0)) throw refuse("it takes too many steps");
  }

  override evaluate(statement: Statement | undefined, environment: Environment): Value {
    if (statement instanceof Settled) return statement.result;
    if (statement === undefined) return super.evaluate(statement, environment);
    this.spend(1);
    if (++this.#calls > MAX_CALLS) throw refuse("it nests too deeply");
    try {
      this.#markPrinted(statement);
      const result = this.#evaluateNode(statement, environment);
      this.#account(statement, result);
      return this.#printed.has(statement) ? asText(result, environment) : result;
    } finally {
      this.#calls--;
    }
  }

  #markPrinted(node: Node): void {
    if (!SILENT.includes(node.type) || this.#seen.has(node)) return;
    this.#seen.add(node);
    for (const block of [node.body, node.alternate, node.defaultBlock]) {
      for (const one of block ?? []) if (!SILENT.includes(one.type)) this.#printed.add(one);
    }
  }

  #evaluateNode(node: Node, environment: Environment): Value {
    switch (node.type) {
      case "For": {
        const iterable = node.iterable!;
        this.#looped.add(iterable.type === "SelectExpression" ? iterable.lhs! : iterable);
        break;
      }
      case "Set":
        if (node.assignee!.type === "MemberExpression" && node.value) this.#stored.add(node.value as Node);
        break;
      case "CallExpression":
        this.#called.add(node.callee!);
        break;
      case "TestExpression":
        this.#glanced.add(node.operand!);
        if (["lower", "upper"].includes(node.test!.value as string)) this.#glanced.delete(node.operand!);
        break;
      case "BinaryExpression": {
        if (node.operator!.value !== "~") break;
        const [left, right] = [node.left!, node.right!].map((one) =>
          new Settled(asText(this.evaluate(one, environment), environment))
        );
        return super.evaluate({ ...node, left, right } as Statement, environment);
      }
      case "MemberExpression":
        return this.#evaluateMember(node, environment);
      case "FilterStatement":
        return this.#evaluateFilter(
          this.evaluate({ type: "Program", body: node.body } as Statement, environment),
          node.filter!,
          environment,
        );
      case "FilterExpression":
        if (GLANCING_FILTERS.includes(filterName(node.filter!))) this.#glanced.add(node.operand!);
        return this.#evaluateFilter(this.evaluate(node.operand!, environment), node.filter!, environment);
    }
    return super.evaluate(node, environment);
  }

  #evaluateMember(node: Node, environment: Environment): Value {
    if (node.property!.type !== "SliceExpression" && !this.#called.has(node)) this.#glanced.add(node.object!);
    const object = this.evaluate(node.object!, environment);
    const result = super.evaluate({ ...node, object: new Settled(object) } as Statement, environment);
    const text = textOf(object);
    if (text === null || result !== object.builtins.get("replace")) return result;
    const replace = result as FunctionLike;
    const Constructor = replace.constructor as new (value: FunctionLike["value"]) => FunctionLike;
    return new Constructor((args, scope) => {
      this.#checkReplace(text, args);
      return replace.value(args, scope);
    });
  }

  #evaluateFilter(operand: Value, filter: Node, environment: Environment): Value {
    const name = filterName(filter);
    let bounded = filter;
    if (name === "string") return asText(operand, environment);
    if (name === "selectattr" || name === "rejectattr") {
      const args = (filter.args ?? []).map((arg) => this.evaluate(arg, environment));
      const kept = filterByAttribute(operand, args, name === "selectattr", environment);
      if (kept === null) throw refuse(`it uses ${name} in a way that ds does not know`);
      const List = operand.constructor as new (value: Value[]) => Value;
      return new List(kept);
    }
    if (GROWING_FILTERS.includes(name)) {
      const args: Value[] = [];
      const settled = (filter.args ?? []).map((arg): Node => {
        const holder = arg.type === "KeywordArgumentExpression"
          ? "value"
          : arg.type === "SpreadExpression" || arg.type === "KeywordSpreadExpression"
          ? "argument"
          : null;
        const value = this.evaluate(holder === null ? arg : arg[holder] as Node, environment);
        args.push(...parts(value, arg.type));
        const node = new Settled(value) as Node;
        return holder === null ? node : { ...arg, [holder]: node };
      });
      this.#checkFilter(name, operand, args);
      if (filter.args !== undefined) bounded = { ...filter, args: settled };
    }
    const node = { type: "FilterExpression", operand: new Settled(operand), filter: bounded };
    return super.evaluate(node as Statement, environment);
  }

  /** Charges what reading the value through may cost, and refuses values that are too large. */
  #account(node: Node, result: Value): void {
    const isNamespace = result.type === "NamespaceValue";
    if (isNamespace && this.#stored.has(node)) throw refuse("it puts a namespace into a namespace");
    if (isNamespace && this.#glanced.has(node)) return;
    const { size, nesting } = isNamespace ? this.#measureNamespace(result) : this.#measure(result);
    if (size > MAX_SIZE) throw refuse(`it makes a value of more than ${MAX_SIZE} characters`);
    if (nesting > MAX_VALUE_NESTING) throw refuse("it makes lists that nest too deeply");
    if (this.#looped.has(node)) this.spend(STEPS_PER_TURN * count(result));
    if (!this.#glanced.has(node)) this.spend(size / CHARACTERS_PER_STEP);
  }

  #measure(value: Value): Measure {
    const text = textOf(value);
    if (text !== null) return { size: text.length, nesting: 0 };
    const children = childrenOf(value);
    if (children === null) return { size: 1, nesting: 0 };
    const known = this.#measured.get(value);
    if (known !== undefined) return known;
    let size = 1;
    let nesting = 0;
    for (const [key, child] of children) {
      this.spend(1);
      if (child.type === "NamespaceValue") throw refuse("it puts a namespace into a list");
      const inner = this.#measure(child);
      size += key.length + 1 + inner.size;
      nesting = Math.max(nesting, inner.nesting);
    }
    const measure = { size, nesting: nesting + 1 };
    this.#measured.set(value, measure);
    return measure;
  }

  #checkFilter(name: string, operand: Value, args: readonly Value[]): void {
    const { size, nesting } = operand.type === "NamespaceValue"
      ? this.#measureNamespace(operand)
      : this.#measure(operand);
    const longest = args.reduce((most, arg) => Math.max(most, this.#measure(arg).size), 0);
    const number = args.reduce(
      (most, arg) => typeof arg.value === "number" ? Math.max(most, arg.value) : most,
      0,
    );
    switch (name) {
      case "replace": {
        const text = textOf(operand);
        if (text !== null) this.#checkReplace(text, args);
        return;
      }
      case "join":
        return this.#checkGrowth(size + count(operand) * longest);
      case "indent":
      case "tojson":
        if (number > MAX_INDENT) throw refuse(`it indents by more than ${MAX_INDENT}`);
        return this.#checkGrowth(
          name === "indent" ? size * (1 + number) : size * (1 + number * nesting + longest),
        );
    }
  }

  #measureNamespace(value: Value): Measure {
    const inner = [...childrenOf(value) ?? []].map(([, child]) => {
      if (child.type === "NamespaceValue") throw refuse("it puts a namespace into a namespace");
      return this.#measure(child);
    });
    return {
      size: inner.reduce((sum, { size }) => sum + size, 1),
      nesting: 1 + inner.reduce((most, { nesting }) => Math.max(most, nesting), 0),
    };
  }

  #checkReplace(text: string, args: readonly Value[]): void {
    const [wanted, replacement] = [args[0], args[1]].map((arg) => arg === undefined ? null : textOf(arg));
    if (typeof wanted !== "string" || typeof replacement !== "string") return;
    this.spend(text.length / CHARACTERS_PER_STEP);
    const places = wanted === "" ? text.length + 1 : text.split(wanted).length - 1;
    this.#checkGrowth(text.length + places * replacement.length);
  }

  #checkGrowth(size: number): void {
    if (!(size <= MAX_SIZE)) throw refuse(`it makes a text of more than ${MAX_SIZE} characters`);
    this.spend(size / CHARACTERS_PER_STEP);
  }
}

/** A value as Python writes it, where that differs from what the interpreter would write. */
function asText(value: Value, environment: Environment): Value {
  const text = pythonText(value);
  return text === null ? value : new Environment(environment).set("", text);
}

function filterName(filter: Node): string {
  const named = filter.type === "CallExpression" ? filter.callee! : filter;
  return String(named.value ?? "");
}

function parts(value: Value, argumentType: string): readonly Value[] {
  if (!argumentType.includes("Spread")) return [value];
  return [...childrenOf(value) ?? []].map(([, child]) => child);
}

function count(value: Value): number {
  if (Array.isArray(value.value)) return value.value.length;
  if (value.value instanceof Map) return value.value.size;
  return textOf(value)?.length ?? 1;
}
