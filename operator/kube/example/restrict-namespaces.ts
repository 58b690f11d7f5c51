import * as kube from "@tradingbots/kube";

const LEVEL = "pod-security.kubernetes.io/enforce";

/** Gives the pod security level `restricted` to every namespace that names none. Ends when it is told to, or no longer leads. */
export async function restrictNamespaces(access: kube.ClusterAccess, stopping: AbortSignal) {
  const client = kube.createKubeClient(access);
  const leaseClient = kube.createKubeClient(access); // a renewal never waits behind the writes that it allows
  const namespaces = kube.createReflector({
    client,
    resource: kube.NAMESPACES,
    project: ({ metadata }) => ({ name: metadata?.name ?? "", level: metadata?.labels?.[LEVEL] }),
    handlers: { onUpsert: ({ name }) => queue.add(name, "user"), onDelete: () => undefined },
  });
  const queue = kube.createWorkQueue({
    concurrency: 4,
    backOff: { initialMs: 100, maxMs: 60_000 },
    retryAfterMs: kube.retryAfterMs,
    process: reconcile,
    onError: (name, error) => console.error(`namespace ${name} is tried again`, error),
  });
  namespaces.start();
  await namespaces.synced; // before the election: a standby that takes over acts at once
  const leadership = await kube.becomeLeader(
    {
      client: leaseClient,
      namespace: "default",
      name: "restrict-namespaces",
      identity: crypto.randomUUID(),
      onError: console.error,
    },
    stopping,
  );
  const writer = client.guarded({ mayWrite: leadership.holds, lost: leadership.signal });

  async function reconcile(name: string) {
    const namespace = namespaces.store.get(name);
    if (namespace === undefined || namespace.level !== undefined) return {}; // gone, or as it should be
    const body = { metadata: { labels: { [LEVEL]: "restricted" } } };
    namespaces.observe(await writer.patch(kube.NAMESPACES, { name }, { type: "merge", body }));
    return {};
  }

  queue.start();
  const over = AbortSignal.any([leadership.signal, stopping]);
  if (!over.aborted) await new Promise((resolve) => over.addEventListener("abort", resolve));
  await Promise.all([queue.stop(), namespaces.stop()]);
  await leadership.release();
  await Promise.all([client.close(), leaseClient.close()]);
}
