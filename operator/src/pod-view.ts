import { hash } from "node:crypto";
import { ANNOTATIONS, BotState, LABELS, Mode } from "@tradingbots/crds";
import { type Kept, keyOf, type ObjectVersion, parseKey, type Pod } from "@tradingbots/kube";
import { z } from "zod";
import { secondsOf } from "./conditions.ts";
import { podDisruption, type PodDisruption } from "./pod-disruption.ts";
import { podTrouble, type PodTrouble } from "./pod-trouble.ts";
import { pack, type Packed, unpack } from "./packed.ts";
import { type PackedTime, packTime, unpackTime } from "./packed-conditions.ts";
import { createSharing } from "./shared-values.ts";

/** The annotation that holds `podInputsHash`: what the pod was made from. */
export const INPUTS_ANNOTATION = "tradingbots.dev/inputs";

/** The annotation of a pod whose bot failed before with another template: no fault of this one. */
export const UNWELL_BEFORE_ANNOTATION = "tradingbots.dev/unwell-before";

/** Value of the label `position`; without it nothing is known to be open. */
export const POSITION_OPEN = "open";

/** What the operator keeps of a pod: about a tenth of the object. */
export interface PodView {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly role: string | undefined;
  /** ExchangeAccount that a verify pod serves. */
  readonly accountName: string | undefined;
  /** Uid of the controlling owner. */
  readonly ownerUid: string | undefined;
  /** Uid of the bot in its configuration: it trades as that one, whoever owns it. */
  readonly botUid: string | undefined;
  readonly createdAt: string;
  readonly isDeleting: boolean;
  /** When a pod that is being deleted should have ended: its kubelet confirms that by then. */
  readonly endsBy: string | undefined;
  readonly nodeName: string | undefined;
  /** It carries the label that puts it under the PodDisruptionBudget. */
  readonly isGuarded: boolean;
  readonly isReady: boolean;
  /** How often its process has ended and been started again. */
  readonly restarts: number;
  readonly image: string | undefined;
  readonly inputsHash: string | undefined;
  /** Its bot failed with another template already. */
  readonly wasUnwell: boolean;
  /** Since when it has been ready, of one that carries that mark; else undefined. */
  readonly recoveredAt: string | undefined;
  readonly credentialsVersion: number | undefined;
  /** Hash of the configuration in the annotation, and the parts of it that decisions need. */
  readonly configHash: string;
  readonly toldState: BotState | undefined;
  /** Uids of the halts in it. */
  readonly toldHalts: readonly string[];
  /** Where it was told to trade; undefined when its configuration cannot be read. */
  readonly mode: Mode | undefined;
  readonly endpoint: Endpoint | null;
  readonly trouble: PodTrouble | undefined;
  readonly disruption: PodDisruption | undefined;
  readonly end: PodEnd | undefined;
}

interface Endpoint {
  readonly restUrl: string;
  readonly websocketUrl: string;
}

/** How a pod that will not start again came to its end. */
export interface PodEnd {
  readonly succeeded: boolean;
  readonly message: string | undefined;
  /** Why the whole pod ended: Evicted, DeadlineExceeded…; undefined when its container ended. */
  readonly podReason: string | undefined;
  readonly exitCode: number | undefined;
  /** By its node's clock, and no later than it was seen: a clock that is an hour ahead would put off the next pod by an hour. */
  readonly finishedAt: string;
}

const ConfigPart = z.object({
  botUid: z.string().optional(),
  state: BotState.optional(),
  mode: Mode.optional(),
  endpoint: z.object({ restUrl: z.string(), websocketUrl: z.string() }).nullable(),
  halts: z.array(z.object({ uid: z.string() })).catch([]),
});

/**
 * @param key the pod's, where somebody holds it already
 * @param seenAt by this process's clock
 */
export function podView(pod: Pod, key = keyOfPod(pod), seenAt = new Date()): PodView {
  const { metadata, status, spec } = pod;
  const namespace = metadata?.namespace ?? "";
  const name = metadata?.name ?? "";
  const text = metadata?.annotations?.[ANNOTATIONS.config] ?? "";
  const config = readConfigPart(text);
  const role = metadata?.labels?.[LABELS.role];
  const version = Number(metadata?.annotations?.[ANNOTATIONS.credentialsVersion]);
  const ready = status?.conditions?.find(
    ({ type, status: is }) => type === "Ready" && is === "True",
  );
  const wasUnwell = metadata?.annotations?.[UNWELL_BEFORE_ANNOTATION] === "true";
  const ownerUid = metadata?.ownerReferences?.find(({ controller }) => controller === true)?.uid;
  return {
    key,
    namespace,
    name,
    uid: metadata?.uid ?? "",
    role,
    accountName: role === "bot" ? undefined : metadata?.labels?.[LABELS.account],
    ownerUid,
    botUid: config?.botUid,
    createdAt: metadata?.creationTimestamp ?? "",
    isDeleting: metadata?.deletionTimestamp !== undefined,
    endsBy: metadata?.deletionTimestamp,
    nodeName: spec?.nodeName,
    isGuarded: metadata?.labels?.[LABELS.position] === POSITION_OPEN,
    isReady: ready !== undefined,
    restarts: status?.containerStatuses?.[0]?.restartCount ?? 0,
    image: spec?.containers[0]?.image,
    inputsHash: metadata?.annotations?.[INPUTS_ANNOTATION],
    wasUnwell,
    recoveredAt: wasUnwell ? (ready?.lastTransitionTime ?? undefined) : undefined, // Go writes null
    credentialsVersion: Number.isInteger(version) ? version : undefined,
    configHash: hashOf(text),
    toldState: config?.state,
    toldHalts: config?.halts.map((halt) => halt.uid) ?? [],
    mode: config?.mode,
    endpoint: config?.endpoint ?? null,
    trouble: podTrouble(pod, config?.mode),
    disruption: podDisruption(pod),
    end: podEnd(pod, seenAt),
  };
}

function keyOfPod({ metadata }: Pod): string {
  return keyOf({ namespace: metadata?.namespace ?? "", name: metadata?.name ?? "" });
}

type SeldomSet = "accountName" | "botUid" | "endsBy" | "recoveredAt" | "end";

/** What is a pod's own. */
type Own = readonly [
  createdAt: PackedTime,
  configHash: string,
  inputsHash: string | null,
  ownerUid: string | null,
  nodeName: string | null,
  restarts: number,
  seldomSet: Partial<Pick<PodView, SeldomSet>>,
];

/** What thousands of pods have in common. */
interface Common extends Omit<
  PodView,
  | ("key" | "namespace" | "name" | "uid")
  | ("createdAt" | "configHash" | "inputsHash" | "ownerUid" | "nodeName" | "restarts" | SeldomSet)
> {
  /** It is configured for the bot that owns it, like every pod that the operator makes. */
  readonly isOwnersOwn: boolean;
}

const sharedCommon = createSharing<Common>();

/** A pod at rest: what it has in common with others is held once, all else is one text. */
export class KeptPod implements Kept<PodView> {
  readonly #own: Packed<Own>;
  readonly #common: Common;

  constructor({ key: _key, namespace: _namespace, name: _name, uid: _uid, ...pod }: PodView) {
    const { createdAt, configHash, inputsHash, ownerUid, nodeName, restarts, ...others } = pod;
    const { accountName, botUid, endsBy, recoveredAt, end, ...common } = others;
    const isOwnersOwn = botUid === ownerUid;
    this.#own = pack<Own>([
      packTime(createdAt),
      configHash,
      inputsHash ?? null,
      ownerUid ?? null,
      nodeName ?? null,
      restarts,
      { accountName, botUid: isOwnersOwn ? undefined : botUid, endsBy, recoveredAt, end },
    ]);
    this.#common = sharedCommon({ ...common, isOwnersOwn });
  }

  view({ key, uid }: ObjectVersion): PodView {
    const own = unpack(this.#own);
    const [createdAt, configHash, inputsHash, owner, nodeName, restarts, seldomSet] = own;
    const { isOwnersOwn, ...common } = this.#common;
    const { namespace = "", name } = parseKey(key);
    const ownerUid = owner ?? undefined;
    const { accountName, botUid, endsBy, recoveredAt, end } = seldomSet;
    return {
      ...common,
      key,
      namespace,
      name,
      uid,
      createdAt: unpackTime(createdAt),
      configHash,
      inputsHash: inputsHash ?? undefined,
      ownerUid,
      nodeName: nodeName ?? undefined,
      restarts,
      accountName,
      botUid: isOwnersOwn ? ownerUid : botUid,
      endsBy,
      recoveredAt,
      end,
    };
  }
}

function podEnd(pod: Pod, seenAt: Date): PodEnd | undefined {
  const { status, metadata } = pod;
  if (status?.phase !== "Succeeded" && status?.phase !== "Failed") return undefined;
  const terminated = status.containerStatuses?.[0]?.state?.terminated;
  const finishedAt = terminated?.finishedAt ?? metadata?.creationTimestamp ?? "";
  const seen = secondsOf(seenAt);
  return {
    succeeded: status.phase === "Succeeded",
    message: terminated?.message,
    podReason: status.reason,
    exitCode: terminated?.exitCode,
    finishedAt: finishedAt < seen ? finishedAt : seen,
  };
}

function readConfigPart(text: string): z.infer<typeof ConfigPart> | undefined {
  if (text === "") return undefined;
  try {
    return ConfigPart.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // somebody edited it: its hash differs, so it is written anew
  }
}

export function hashOf(text: string): string {
  const whole = hash("sha256", text, "base64url");
  return Buffer.from(whole, "latin1").toString("latin1", 0, 22); // 132 bits; a `slice` would keep the whole text in memory
}
