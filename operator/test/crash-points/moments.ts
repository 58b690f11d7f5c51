import type { Treatment } from "../line.ts";

/** When, around one request, the process dies. */
export interface Moment {
  readonly name: string;
  /** Kills at that moment; `kill` returns at once, and the process runs not a step further. */
  readonly strike: (kill: () => void) => Treatment;
}

export const MOMENTS: readonly Moment[] = [
  {
    name: "before",
    strike: (kill) => {
      kill();
      return { kind: "swallow-request" };
    },
  },
  { name: "sent", strike: (kill) => ({ kind: "swallow-answer", taken: kill }) },
  { name: "answered", strike: (kill) => ({ kind: "pass", answered: kill }) },
];
