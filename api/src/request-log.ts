import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from "fastify";
import { type Lines, loggedRequest } from "./logger.ts";

/** As pino counts its levels. */
const INFO = 30;

type Level = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "silent";
type ChildOptions = Parameters<FastifyBaseLogger["child"]>[1];

/** How pino would make the log of one request. */
interface Recipe {
  readonly parent: FastifyBaseLogger;
  readonly bindings: object;
  readonly options: ChildOptions;
}

interface Sink {
  readonly lines: Lines;
  /** Where a route says nothing else. */
  readonly level: string;
}

/**
 * The log of one request. Most say nothing but that they were answered, in one line that is put together here: a child of pino's for each
 * request, and its way to write an object, took a tenth of a small request's time. The child is made when there is something else to say.
 */
export class RequestLog implements FastifyBaseLogger {
  readonly #recipe: Recipe;
  readonly #sink: Sink;
  #child: FastifyBaseLogger | undefined;

  constructor(recipe: Recipe, sink: Sink) {
    this.#recipe = recipe;
    this.#sink = sink;
  }

  /** The line of every request that was answered; a route may be too quiet for it. */
  answered(request: FastifyRequest, { statusCode: status, elapsedTime: ms }: FastifyReply): void {
    const level = this.#recipe.options?.level ?? this.#sink.level;
    if (level !== "info" && level !== "debug") return;
    const line = {
      level: INFO,
      time: Date.now(),
      reqId: request.id,
      req: loggedRequest(request),
      status,
      ms,
      msg: "answered",
    };
    this.#sink.lines.write(`${JSON.stringify(line)}\n`);
  }

  get level(): string {
    return this.#own.level;
  }
  set level(level: string) {
    this.#own.level = level;
  }

  get #own(): FastifyBaseLogger {
    const { parent, bindings, options } = this.#recipe;
    return (this.#child ??= parent.child(bindings, options));
  }

  #say(level: Level, said: readonly unknown[]): void {
    Reflect.apply(this.#own[level], this.#own, said);
  }

  fatal(...said: readonly unknown[]): void {
    this.#say("fatal", said);
  }
  error(...said: readonly unknown[]): void {
    this.#say("error", said);
  }
  warn(...said: readonly unknown[]): void {
    this.#say("warn", said);
  }
  info(...said: readonly unknown[]): void {
    this.#say("info", said);
  }
  debug(...said: readonly unknown[]): void {
    this.#say("debug", said);
  }
  trace(...said: readonly unknown[]): void {
    this.#say("trace", said);
  }
  silent(): void {}

  child(...options: Parameters<FastifyBaseLogger["child"]>): FastifyBaseLogger {
    return this.#own.child(...options);
  }
}
