import { type Message, message, text } from "@optique/core/message";
import {
  type FluentParser,
  multiple,
  nonEmpty,
  withDefault,
  WithDefaultError,
} from "@optique/core/modifiers";
import { flag, option } from "@optique/core/primitives";
import { type Environment, setting } from "../../runtime/environment.ts";
import type { Value } from "./values.ts";

type Flag<T> = FluentParser<"sync", T, unknown>;
type FlagName = `--${string}`;

/** The variable of a flag: `--max-tokens` is `DS_MAX_TOKENS`. */
export function variableOf(flag: string): string {
  return `DS_${flag.replace(/^--/, "").replaceAll("-", "_").toUpperCase()}`;
}

/** Makes the flags of one command; each has its variable of the environment, which the flag itself overrides. */
export class Flags {
  private readonly environment: Environment;

  constructor(environment: Environment) {
    this.environment = environment;
  }

  /** A flag with a value and a default. @param shown the default in words, where the value does not say it */
  value<T>(name: FlagName, value: Value<T>, description: string, fallback: T, shown?: string): Flag<T> {
    return this.defaulted(name, value, description, fallback, shown ?? value.format(fallback));
  }

  /** A flag that may be left out. @param shown what then happens */
  maybe<T>(name: FlagName, value: Value<T>, description: string, shown?: string): Flag<T | null> {
    return this.defaulted<T | null>(name, value as Value<T | null>, description, null, shown);
  }

  /** A flag that may be given several times. */
  list(name: FlagName, value: Value<string>, description: string): Flag<readonly string[]> {
    const given = nonEmpty(multiple(option(name, value, { description: describe(name, description) })));
    return withDefault(given, (): readonly string[] => {
      const own = this.fromVariable(name, value);
      return own === null ? [] : [own];
    }) as Flag<readonly string[]>;
  }

  /** A flag without a value. */
  onOff(name: FlagName, description: string): Flag<boolean> {
    const given = flag(name, { description: describe(name, description) });
    return withDefault(given, () => this.isOn(name)) as Flag<boolean>;
  }

  private defaulted<T>(
    name: FlagName,
    value: Value<T>,
    description: string,
    fallback: T,
    shown: string | undefined,
  ): Flag<T> {
    const given = option(name, value, { description: describe(name, description, shown) });
    return withDefault(given, () => this.fromVariable(name, value) ?? fallback) as Flag<T>;
  }

  private fromVariable<T>(name: string, value: Value<T>): T | null {
    const given = setting(this.environment, variableOf(name));
    if (given === null) return null;
    const read = value.parse(given);
    if (read.success) return read.value;
    throw badVariable(name, read.error.map((part) => part.type === "text" ? part.text : "").join(""));
  }

  private isOn(name: string): boolean {
    const given = setting(this.environment, variableOf(name));
    if (given === null || /^(0|false|no|off)$/i.test(given)) return false;
    if (/^(1|true|yes|on)$/i.test(given)) return true;
    throw badVariable(name, `must be 1 or 0: found ${JSON.stringify(given.slice(0, 60))}`);
  }
}

function describe(name: string, description: string, shown?: string): Message {
  const fallback = shown === undefined ? "" : ` Default: ${shown}.`;
  return message`${text(`${description}${fallback} [${variableOf(name)}]`)}`;
}

function badVariable(name: string, reason: string): WithDefaultError {
  return new WithDefaultError(message`${text(`The environment variable ${variableOf(name)} ${reason}`)}`);
}
