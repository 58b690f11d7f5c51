import { currentVerification } from "../account/account-view.ts";
import { type Fact, fact } from "../conditions.ts";
import type { BotFacts } from "./facts.ts";
import { isAbandoned, isFinal } from "./flatness.ts";
import { refusedKeyOfPod } from "./key-refusal.ts";
import type { BotPlan } from "./plan.ts";

interface Why {
  readonly reason: string;
  readonly message: string;
}

/**
 * Why nobody can find out what the bot holds, and will not by waiting alone; undefined while somebody can, or nothing is open. Then
 * its owner may mend the cause, or give the position up by `spec.abandonPosition`: nothing hangs for ever.
 */
export function positionUnknownBecause(facts: BotFacts, plan: Plan): Why | undefined {
  // Once its last pod is gone, `Flat` alone remembers, and the next position is another one.
  if (isAbandoned(facts.bot)) return facts.pod && { reason: "Abandoned", message: GIVEN_UP };
  if (isFinal(plan.flatness)) return undefined;
  return keyRefused(facts) ?? (plan.intended === "Running" ? undefined : blindBecause(facts, plan));
}
type Plan = Pick<BotPlan, "flatness" | "denial" | "intended">;

/** The condition, while there is something to tell. Its time names the position that may be given up. */
export function positionUnknownFact(facts: BotFacts, plan: Plan): Fact | undefined {
  const why = positionUnknownBecause(facts, plan);
  if (why === undefined || why.reason === "Abandoned") return why && fact(TYPE, "True", why);
  return fact(TYPE, "True", { reason: why.reason, message: `${why.message} ${WAY_OUT}` });
}

const TYPE = "PositionUnknown";
const GIVEN_UP = "Its owner has given the position up; the pod that cannot look at it is going.";
const WAY_OUT =
  "Whether something is open is therefore unknown; stops at the exchange stay in force. Once this is mended the bot looks for itself. To end the bot without that, close what is open at the exchange and set spec.abandonPosition to this condition's lastTransitionTime.";

/** The exchange answers nothing about the position any more: neither to the running pod nor to a new one. */
function keyRefused(facts: BotFacts): Why | undefined {
  const said = refusedKeyOfPod(facts);
  if (said !== undefined) return said;
  const { account, pod } = facts;
  const verification = account && currentVerification(account);
  // A running pod has the key that it was started with, and says itself when that one is refused.
  if (verification?.state !== "refused" || pod?.isReady === true) return undefined;
  const { message } = verification;
  return { reason: "CredentialsRefused", message: `The exchange refuses the key: ${message}` };
}

/** The bot shall close, and the pod that alone can do it cannot be made or does not come up. */
function blindBecause({ pod, refusal }: BotFacts, { denial }: Plan): Why | undefined {
  if (pod === undefined) return denial?.forbidsPod === true ? denial : refusal;
  return pod.isReady || pod.isDeleting ? undefined : pod.trouble;
}
