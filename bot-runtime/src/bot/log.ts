type LogFields = Readonly<Record<string, unknown>>;

/** One JSON line per event. Fields are plain values chosen one by one: never an exchange client, a request or a key. */
export interface Log {
  readonly info: (event: string, fields?: LogFields) => void;
  readonly warn: (event: string, fields?: LogFields) => void;
  readonly error: (event: string, fields?: LogFields) => void;
}

export interface LogOptions {
  readonly write: (line: string) => void;
  readonly now: () => Date;
  /** Part of every line. */
  readonly context: LogFields;
}

export function createLog({ write, now, context }: LogOptions): Log {
  const line =
    (level: string) =>
    (event: string, fields: LogFields = {}) =>
      write(
        `${JSON.stringify({ time: now().toISOString(), level, event, ...context, ...fields })}\n`,
      );
  return { info: line("info"), warn: line("warn"), error: line("error") };
}

/** The message of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
