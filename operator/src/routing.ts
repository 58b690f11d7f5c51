import { inTurns, keyOf, type Origin, type WorkQueue } from "@tradingbots/kube";
import { isDeepStrictEqual } from "node:util";
import { type AccountView, identityOf } from "./account/account-view.ts";
import { type BotView, byAge } from "./bot/bot-view.ts";
import { type Turn, turnOf } from "./class/turn.ts";
import type { ClassView } from "./class-view.ts";
import type { ClusterView, Routes } from "./cluster-view.ts";
import { conditionOf } from "./conditions.ts";
import type { HaltView } from "./halt/halt-view.ts";
import { concerns } from "./halt/scope.ts";
import type { PodView } from "./pod-view.ts";
import type { BotReport } from "./reports.ts";

/** Which keys a change concerns, and how urgently. Nothing is decided here. */
export interface RoutingDeps {
  readonly queues: {
    readonly bots: WorkQueue;
    readonly accounts: WorkQueue;
    readonly halts: WorkQueue;
    readonly classes: WorkQueue;
  };
  readonly cluster: () => ClusterView;
  readonly verifyClass: string;
  readonly forgetReport: (botKey: string) => void;
}

/** What many pods of a wave tell becomes one count. */
const ROLLOUT_COALESCE_MS = 300;
/** Several acknowledgements of one halt become one write. */
const HALT_COALESCE_MS = 300;
/** Of what trading itself changes, one status write in this time is enough. */
const TRADE_COALESCE_MS = 2_000;
/** Shorter for what somebody waits for. */
const URGENT_COALESCE_MS = 100;
/** A starting pod reports and becomes ready in the same moment, which is one write: readiness wakes its bot at once. */
const STARTING_COALESCE_MS = 2_000;

export function createRoutes(deps: RoutingDeps): Routes {
  return {
    bot: botRoutes(deps),
    account: accountRoutes(deps),
    botClass: {
      onUpsert: (botClass, previous, origin) => {
        if (origin !== "own") deps.queues.classes.add(botClass.name, "user");
        if (isReading(deps)) return;
        addBotsOfClass(deps, botClass, previous);
        const isVerifiers = botClass.name === deps.verifyClass;
        if (isVerifiers && changesVerification(botClass, previous)) addUnverifiedAccounts(deps);
      },
      onDelete: ({ name }) => {
        const bots = deps.cluster().bots.store.find("class", name);
        void inTurns(bots, (bot) => addBot(deps, bot, "resync"));
        deps.queues.classes.add(name, "user");
      },
    },
    halt: {
      onUpsert: (halt, previous, origin) => {
        if (origin !== "own") deps.queues.halts.add(halt.name, "user");
        if (isReading(deps)) return;
        if (previous?.generation !== halt.generation || halt.isDeleting) addConcerned(deps, halt);
      },
      onDelete: (halt) => addConcerned(deps, halt),
    },
    pod: podRoutes(deps),
    cordonedNode: {
      onUpsert: ({ name }, previous) => {
        if (previous === undefined && !isReading(deps)) addBotsOn(deps, name);
      },
      onDelete: ({ name }) => addBotsOn(deps, name),
    },
    serviceAccount: {
      onUpsert: (_view, _previous, origin) => void origin,
      onDelete: ({ namespace, name, botName }) =>
        botName === undefined
          ? deps.queues.accounts.add(keyOf({ namespace, name }), "pod")
          : deps.queues.bots.add(keyOf({ namespace, name: botName }), "pod"),
    },
  };
}

/**
 * Nothing is decided before everything has been read, and what is read wakes its own key. Whom else it concerns need not be asked until then:
 * they are read as well.
 */
function isReading({ cluster }: Pick<RoutingDeps, "cluster">): boolean {
  return !cluster().hasSynced();
}

/** Of a rollout's next step only those that it concerns: the status of a class changes every few seconds meanwhile. */
function addBotsOfClass(deps: RoutingDeps, botClass: ClassView, previous?: ClassView): void {
  const isEdited = previous?.generation !== botClass.generation;
  if (!isEdited && isDeepStrictEqual(previous?.rollout, botClass.rollout)) return;
  void inTurns(deps.cluster().bots.store.find("class", botClass.name), (bot) => {
    const before = previous && turnOf(previous, bot.uid);
    if (isEdited || !isSameTurn(before, turnOf(botClass, bot.uid))) addBot(deps, bot, "resync");
  });
}

/** Verify pods run the last good template: the steps of a rollout are nothing to them. */
function changesVerification(botClass: ClassView, previous: ClassView | undefined): boolean {
  return (
    previous?.generation !== botClass.generation ||
    previous.rollout.stable.hash !== botClass.rollout.stable.hash
  );
}

function isSameTurn(before: Turn | undefined, now: Turn): boolean {
  return before?.isDue === now.isDue && before.template.hash === now.template.hash;
}

function botRoutes(deps: RoutingDeps): Routes["bot"] {
  return {
    onUpsert: (bot, previous, origin) => {
      if (origin !== "own") addBot(deps, bot, urgencyOf(bot, previous, origin));
      if (isReading(deps)) return;
      if (previous !== undefined && !changesOthers(bot, previous)) return;
      addSiblings(deps, bot, previous);
      addHalts(deps, bot);
    },
    onDelete: (bot) => {
      addBot(deps, bot, "pod");
      addSiblings(deps, bot);
      addHalts(deps, bot);
      if (bot.accountKey !== undefined) deps.queues.accounts.add(bot.accountKey, "deletion");
      deps.forgetReport(bot.key);
    },
  };
}

function urgencyOf(bot: BotView, previous: BotView | undefined, origin: Origin) {
  if (bot.isDeleting) return "deletion";
  if (origin === "fill") return "resync";
  return previous?.generation === bot.generation ? "pod" : "user";
}

/** What decides whether another bot may have a symbol or a place in its class. */
function changesOthers(bot: BotView, previous: BotView): boolean {
  return (
    bot.spec.state !== previous.spec.state ||
    bot.isDeleting !== previous.isDeleting ||
    !isDeepStrictEqual(bot.spec.symbols, previous.spec.symbols) ||
    bot.spec.className !== previous.spec.className ||
    flatReason(bot) !== flatReason(previous)
  );
}

function flatReason(bot: BotView): string | undefined {
  return conditionOf(bot.status.conditions, "Flat")?.reason;
}

/** Bots that the change may give a symbol or a place in their class, or take it from. */
function addSiblings(deps: RoutingDeps, bot: BotView, previous = bot): void {
  const { store } = deps.cluster().bots;
  const symbols = new Set([...bot.spec.symbols, ...previous.spec.symbols]);
  const byAccount = bot.accountKey === undefined ? [] : store.find("account", bot.accountKey);
  for (const sibling of byAccount) {
    const sharesSymbol = sibling.spec.symbols.some((symbol) => symbols.has(symbol));
    if (sibling.key !== bot.key && sharesSymbol) addBot(deps, sibling, "resync");
  }
  const classes = [bot.spec.className, previous.spec.className];
  for (const other of store.find("user", bot.spec.userId)) {
    const isCounted = classes.includes(other.spec.className) && byAge(bot, other) < 0;
    if (other.key !== bot.key && isCounted) addBot(deps, other, "resync");
  }
}

function accountRoutes(deps: RoutingDeps): Routes["account"] {
  return {
    onUpsert: (account, previous, origin) => {
      if (origin !== "own") addAccount(deps, account, previous);
      if (isReading(deps)) return;
      if (previous !== undefined && !concernsBots(account, previous)) return;
      addBotsOf(deps, account);
      addTwins(deps, account);
    },
    onDelete: (account) => {
      addBotsOf(deps, account);
      addTwins(deps, account);
    },
  };
}

function addAccount(deps: RoutingDeps, account: AccountView, previous?: AccountView): void {
  if (!deps.cluster().manages(account.namespace)) return;
  const isChange = previous !== undefined && previous.generation !== account.generation;
  deps.queues.accounts.add(account.key, isChange || account.isDeleting ? "user" : "pod");
}

function concernsBots(account: AccountView, previous: AccountView): boolean {
  const { status, generation, isRetired } = account;
  return (
    generation !== previous.generation ||
    isRetired !== previous.isRetired ||
    !isDeepStrictEqual(status.verification, previous.status.verification) ||
    !isDeepStrictEqual(status.conditions, previous.status.conditions)
  );
}

function addBotsOf(deps: RoutingDeps, account: AccountView): void {
  for (const bot of deps.cluster().bots.store.find("account", account.key)) {
    addBot(deps, bot, "user");
  }
}

/** The end or the identity of one connection decides about another of the same exchange account. */
function addTwins(deps: RoutingDeps, account: AccountView): void {
  const identity = identityOf(account);
  if (identity === undefined) return;
  for (const other of deps.cluster().accounts.store.find("identity", identity)) {
    if (other.key !== account.key) deps.queues.accounts.add(other.key, "resync");
  }
}

function addUnverifiedAccounts(deps: RoutingDeps): void {
  void inTurns(deps.cluster().accounts.store.views(), (account) => {
    const ready = conditionOf(account.status.conditions, "Ready");
    if (ready?.status !== "True") addAccount(deps, account);
  });
}

function podRoutes(deps: RoutingDeps): Routes["pod"] {
  const { queues, cluster } = deps;
  const add = ({ key, namespace, role, accountName }: PodView) => {
    if (role === "bot") {
      queues.bots.add(key, "pod");
      if (!isReading(deps)) addRollout(deps, key);
    } else if (accountName !== undefined) {
      queues.accounts.add(keyOf({ namespace, name: accountName }), "pod");
    }
  };
  return {
    onUpsert: (pod, previous, origin) => {
      if (origin !== "own") add(pod);
      if (isReading(deps)) return;
      const bot = cluster().bots.store.get(pod.key);
      const isBorn = previous === undefined;
      if (bot !== undefined && (isBorn || !isDeepStrictEqual(previous.end, pod.end)))
        addHalts(deps, bot);
    },
    onDelete: (pod) => {
      add(pod);
      const bot = cluster().bots.store.get(pod.key);
      if (bot === undefined) return;
      addHalts(deps, bot);
      if (bot.accountKey === undefined) return;
      for (const sibling of cluster().bots.store.find("account", bot.accountKey)) {
        queues.bots.add(sibling.key, "resync");
      }
    },
  };
}

/** How far a rollout is depends on every pod of the class. */
function addRollout({ queues, cluster }: RoutingDeps, botKey: string): void {
  const className = cluster().bots.store.get(botKey)?.spec.className ?? "";
  const isUnderWay = cluster().classes.store.get(className)?.rollout.target !== undefined;
  if (isUnderWay) queues.classes.addAfter(className, ROLLOUT_COALESCE_MS, "pod");
}

/** A machine is cordoned seldom: looking through all pods then costs less than an index of them always. */
function addBotsOn({ queues, cluster }: RoutingDeps, node: string): void {
  void inTurns(cluster().pods.views(), ({ key, nodeName, role }) => {
    if (nodeName === node && role === "bot") queues.bots.add(key, "pod");
  });
}

/** How far a halt is depends on every bot in its scope. */
function addHalts({ queues, cluster }: RoutingDeps, bot: BotView): void {
  for (const halt of cluster().halts.store.views()) {
    const isOver = halt.spec.lifted || halt.isDeleting;
    const mayConcern = halt.spec.scope.type === "symbol" || concerns(halt, bot);
    if (!isOver && mayConcern) queues.halts.addAfter(halt.name, HALT_COALESCE_MS, "pod");
  }
}

/** Who holds a symbol that left its specification is known by its report only: for a symbol everybody looks. */
function addConcerned(deps: RoutingDeps, halt: HaltView): void {
  const isBySymbol = halt.spec.scope.type === "symbol";
  void inTurns(deps.cluster().bots.store.views(), (bot) => {
    if (isBySymbol || concerns(halt, bot)) addBot(deps, bot, "user");
  });
}

function addBot(
  { queues, cluster }: RoutingDeps,
  bot: BotView,
  priority: "user" | "deletion" | "pod" | "resync",
): void {
  if (cluster().manages(bot.namespace)) queues.bots.add(bot.key, priority);
}

/** A report wakes its bot only when it says something that a status shows. */
export function routeReport(
  { queues, cluster }: Pick<RoutingDeps, "queues" | "cluster">,
  botKey: string,
  { latest, previous }: { readonly latest: BotReport; readonly previous: BotReport | undefined },
): void {
  if (isReading({ cluster })) return;
  const halts = new Set(latest.report.halts).symmetricDifference(
    new Set(previous?.report.halts ?? []),
  );
  const isProgress = !isDeepStrictEqual(openness(latest), openness(previous));
  const concerned = new Set([...halts, ...(isProgress ? latest.report.halts : [])]);
  for (const { name, uid } of concerned.size > 0 ? cluster().halts.store.views() : []) {
    if (concerned.has(uid)) queues.halts.addAfter(name, HALT_COALESCE_MS, "pod");
  }
  if (previous === undefined || isUrgent(latest, previous) || concerned.size > 0) {
    const isStarting = cluster().pods.get(botKey)?.isReady === false;
    queues.bots.addAfter(botKey, isStarting ? STARTING_COALESCE_MS : URGENT_COALESCE_MS, "pod");
  } else if (isMaterial(latest, previous)) {
    queues.bots.addAfter(botKey, TRADE_COALESCE_MS, "pod");
  }
}

/** What shows how far a halt has been carried out. */
function openness(latest: BotReport | undefined): readonly unknown[] {
  const { flat, openSymbols, openEntries } = latest?.report ?? {};
  return [flat, openSymbols, openEntries];
}

function isUrgent(latest: BotReport, previous: BotReport): boolean {
  const endsFlat = latest.report.state !== "Running" && latest.report.flat !== previous.report.flat;
  return endsFlat || !isDeepStrictEqual(conduct(latest), conduct(previous));
}

function conduct({ podUid, report }: BotReport): readonly unknown[] {
  const { generation, state, trading, requests } = report;
  const blocked = report.blocked.map(({ reason }) => reason);
  return [podUid, generation, state, report.protected, trading, blocked, requests];
}

function isMaterial(latest: BotReport, previous: BotReport): boolean {
  return !isDeepStrictEqual(holdings(latest), holdings(previous));
}

/** What it holds, without what moves with every tick. */
function holdings({ report }: BotReport): readonly unknown[] {
  const positions = report.positions.map(({ symbol, side, quantity, entryPrice }) => [
    symbol,
    side,
    quantity,
    entryPrice,
  ]);
  return [report.flat, report.lastTradeAt, positions];
}
