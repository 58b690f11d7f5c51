import type { AccountView } from "../account/account-view.ts";
import type { ClassView } from "../class-view.ts";
import type { HaltView } from "../halt/halt-view.ts";
import type { PodView } from "../pod-view.ts";
import type { BotReport } from "../reports.ts";
import type { BotView } from "./bot-view.ts";
import type { Flatness } from "./flatness.ts";

/** Everything that a decision about a bot is made of, as seen at one moment. */
export interface BotFacts {
  readonly bot: BotView;
  readonly account: AccountView | undefined;
  readonly botClass: ClassView | undefined;
  /** Set where the cluster admits no pods of the bot's class any more; a pod that closes has the image of the stand-in. */
  readonly formerClass: { readonly standIn: ClassView | undefined } | undefined;
  readonly pod: PodView | undefined;
  /** The machine of its pod, while nothing new may be put there: somebody wants to empty it. */
  readonly drainingNode: string | undefined;
  /** Earlier pods of the bot that ended unasked, one soon after the other. */
  readonly restarts: number;
  /** The service account its pod runs as exists. */
  readonly hasServiceAccount: boolean;
  /** Halts in force that concern the bot, by name. */
  readonly halts: readonly HaltView[];
  /** Name of the bot that trades one of the symbols on the same account and goes before this one. */
  readonly symbolHolder: { readonly name: string; readonly symbol: string } | undefined;
  /** Older bots of the same user in the same class, also those that are on their way out. */
  readonly olderBotsOfUser: number;
  readonly report: ReportFact;
  /** The API server's last refusal to create the pod. */
  readonly refusal: Refusal | undefined;
  /** For what is written down and for what others have written. */
  readonly now: Date;
  /** The operator's monotonic clock at the same moment: for the age of reports. */
  readonly clockMs: number;
}

/** What is known through the journal. `unheard`: the stream is down, so nothing is known either way. */
export type ReportFact =
  | { readonly kind: "unheard" }
  | { readonly kind: "none" }
  | { readonly kind: "stale" | "fresh"; readonly latest: BotReport };

export interface Refusal {
  readonly reason: "ForeignPod" | "NamespaceEnding" | "PodRefused";
  readonly message: string;
  /** So many attempts in a row were refused. */
  readonly times: number;
  /** Hash of the template that is refused, where the same pod of the class's last good one would be taken. */
  readonly blamedTemplate?: string | undefined;
  /** What was known before the attempt: a refused pod has changed nothing. */
  readonly flatBefore: Flatness;
}
