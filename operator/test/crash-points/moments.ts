import type { Treatment } from "../line.ts";

/** When, around one request, the process dies. */
export interface Moment {
  readonly name: string;
  /** A read changes nothing: dying before it, or after its answer, is dying at the request before or after it. */
  readonly appliesToReads: boolean;
  /** Kills at that moment; `kill` returns at once, and the process runs not a step further. */
  readonly strike: (kill: () => void) => Treatment;
}

export const MOMENTS: readonly Moment[] = [
  {
    name: "before",
    appliesToReads: false,
    strike: (kill) => {
      kill();
      return { kind: "swallow-request" };
    },
  },
  {
    name: "sent",
    appliesToReads: true,
    strike: (kill) => ({ kind: "swallow-answer", taken: kill }),
  },
  {
    name: "answered",
    appliesToReads: false,
    strike: (kill) => ({ kind: "pass", answered: kill }),
  },
];
