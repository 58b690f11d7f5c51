import { hashOf } from "../../../operator/src/pod-view.ts";
import type { BenchCluster } from "./bench-cluster.ts";
import { createEtcdStore } from "./etcd-store.ts";
import { type Buckets, type Member, member } from "./population.ts";
import { ageSeconds, createStamp, shiftProtobufTimes, shiftTimes } from "./stamp.ts";
import { etcdKeys, type Template } from "./template.ts";

/** Members made and sent together: as much as one request of etcd's may carry, with a wide margin. */
const CHUNK = 32;

export interface Newcomers {
  /** Members from `from` to `to` − 1. */
  readonly from: number;
  readonly to: number;
  readonly buckets: Buckets;
}

type Pair = readonly [key: string, value: Buffer];

/** The accounts of these members with their service accounts, settled. */
export function addAccounts(
  cluster: BenchCluster,
  template: Template,
  newcomers: Newcomers,
): Promise<void> {
  const stamp = createStamp(template.of);
  return add(cluster, newcomers, (to, index) => {
    if (!to.bringsAccount || isTemplate(template, to)) return [];
    const account = shiftTimes(stamp(template.stored.account, to), ageSeconds(index));
    return [
      [etcdKeys(to).account, bytes(account)],
      [etcdKeys(to).serviceAccount, bytes(stamp(template.stored.serviceAccount, to))],
    ];
  });
}

/** Bots with their ready pods, as though they had run for days. Their accounts are there already. */
export function addSettledBots(
  cluster: BenchCluster,
  template: Template,
  newcomers: Newcomers,
): Promise<void> {
  const stamp = createStamp(template.of);
  return add(cluster, newcomers, (to, index) => {
    if (to.botName === template.of.botName) return [];
    const age = ageSeconds(index);
    const bot = shiftTimes(stamp(template.stored.bot, to), age);
    const pod = shiftProtobufTimes(stamp(template.stored.pod, to), age, template.span);
    return [
      [etcdKeys(to).bot, bytes(bot)],
      [etcdKeys(to).pod, bytes(withInputsHash(pod, template, to))],
    ];
  });
}

async function add(
  { controlPlane }: BenchCluster,
  { from, to, buckets }: Newcomers,
  make: (of: Member, index: number) => readonly Pair[],
): Promise<void> {
  const etcd = createEtcdStore(controlPlane.etcdUrl);
  let next = from;
  const fill = async () => {
    while (next < to) {
      const start = next;
      next += CHUNK;
      const indexes = Array.from({ length: Math.min(CHUNK, to - start) }, (_, at) => start + at);
      await etcd.put(indexes.flatMap((index) => make(member(index, buckets), index)));
    }
  };
  await Promise.all([fill(), fill()]); // one makes objects while the other's are stored
}

/** The annotation names account and version of the key by their hash, after the dot of `podInputsHash`. */
function withInputsHash(pod: string, { of }: Template, to: Member): string {
  return pod.replaceAll(identityHash(of), identityHash(to));
}

function identityHash({ accountName }: Member): string {
  return hashOf(JSON.stringify([accountName, 1]));
}

function isTemplate({ of }: Template, { namespace, accountName }: Member): boolean {
  return of.namespace === namespace && of.accountName === accountName;
}

function bytes(latin1: string): Buffer {
  return Buffer.from(latin1, "latin1");
}
