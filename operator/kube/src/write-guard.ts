/** Who says whether this process may write. */
export interface WriteGuard {
  /** Asked when a write's turn has come, and again in the same breath in which its bytes go to an open connection. */
  readonly mayWrite: () => boolean;
  /** Aborted when it may not any more: ends the writes that wait or have no answer yet, and takes back unsent bytes. */
  readonly lost?: AbortSignal;
  /** Told of each write that is kept back because it may not be sent. */
  readonly onForbidden?: () => void;
}

/** Lets a write pass or keeps it back. @throws WriteForbiddenError saying what is not done */
export function admitWrite(
  { mayWrite, onForbidden }: Pick<WriteGuard, "mayWrite" | "onForbidden">,
  notDone: string,
): void {
  if (mayWrite()) return;
  onForbidden?.();
  throw new WriteForbiddenError(`not leading: ${notDone}`);
}

/** Thrown instead of sending a write that the guard forbids: this process no longer leads. */
export class WriteForbiddenError extends Error {
  override readonly name = "WriteForbiddenError";
}
