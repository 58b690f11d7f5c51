import type { SessionAnswer } from "@tradingbots/crds";
import type { HeldPosition } from "../exchange/exchange.ts";
import { add, type Amount, subtract, ZERO_AMOUNT } from "../money.ts";
import type { Refusal } from "../risk/gate.ts";
import { accountForFills } from "./account-for-fills.ts";
import { advanceWork, wantExitByState } from "./advance-work.ts";
import { FUNDING_LOOK_AGAIN_MS } from "./late-funding.ts";
import { isUrgent } from "./look-ups.ts";
import { rememberedWork, type SymbolView } from "./reconcile.ts";
import { seePosition } from "./see-position.ts";
import type { TraderDeps } from "./trader-deps.ts";
import { standingResult } from "./trading-day.ts";
import { heldOf, isLeftBehind, isSettled, type Work } from "./work.ts";

/** Entries remembered as sent; a strategy that starts anew proposes at most its newest candle again. */
const SENT_MAX = 64;
/** A lost entry is looked for this often: what is still to be shown of it is its history, for a position would have shown. */
const LOST_LOOK_MS = 60_000;

/** The works of one symbol, from before an entry is sent until nothing can come of it any more, not even funding. */
export class Works {
  readonly #symbol: string;
  readonly #deps: TraderDeps;
  readonly #positionEnded: (work: Work) => void;
  readonly #sent = new Set<string>();
  #open: readonly Work[] = [];
  /** Closed, but for funding that may still come: it belongs to their result and to nothing else. */
  #settling: readonly Work[] = [];
  /** Those whose entry is lost, and when each is looked for next: they hold up nothing but the word that the bot is flat. */
  readonly #lost = new Map<Work, number>();
  /** What was held that no work explains when lost ones were last looked at because of it. */
  #heldBesideLost: string | undefined;
  /** The newest one that ended although nobody can tell what closed its rest. */
  #restClosed: Work | undefined;
  /** The sentence about the key of another account, as last heard. */
  #otherAccount: string | undefined;

  /** `positionEnded` hears of each work whose position has ended. */
  constructor(symbol: string, deps: TraderDeps, positionEnded: (work: Work) => void) {
    this.#symbol = symbol;
    this.#deps = deps;
    this.#positionEnded = positionEnded;
  }

  /** Those of which something is open, or may be. */
  get open(): readonly Work[] {
    return this.#open;
  }

  /** Those of which nothing may be open any more, unless the exchange shows it late. */
  get lost(): readonly Work[] {
    return [...this.#lost.keys()];
  }

  get isEmpty(): boolean {
    return this.#open.length === 0;
  }

  /** Nothing of the bot's own is left, but dust that nobody can close and that is not worth waiting for. */
  get areOver(): boolean {
    if (this.#settling.length + this.#lost.size > 0) return false;
    return this.#open.every(isLeftBehind);
  }

  /** An entry may still fill. */
  get areEntering(): boolean {
    return this.#open.some(({ entry }) => entry !== "over");
  }

  /** Every open position has its stop at the exchange. */
  get areProtected(): boolean {
    return this.#open.every(
      (work) => work.account.open.isZero() || heldOf(work)?.stopLoss !== undefined,
    );
  }

  /** Nothing is under way, and every stop is at the exchange. */
  get areSettled(): boolean {
    return this.#open.every(isSettled);
  }

  /** What is left is contradictory or dust: only somebody else can change it. */
  get areHopeless(): boolean {
    return this.#open.every((work) => work.contradiction ?? work.dust);
  }

  /** Those that cannot wait for a look that only observes. */
  get urgent(): readonly Work[] {
    return this.#open.filter((work) => isUrgent(this.#deps, work));
  }

  get contradiction(): Refusal | undefined {
    const message = this.#open.find((work) => work.contradiction !== undefined)?.contradiction;
    return message === undefined ? undefined : { reason: "PositionUnknown", message };
  }

  /** What happened to something open, and nobody can tell the effect of: the account of it may be wrong. */
  get unexplained(): Refusal | undefined {
    const work = this.#open.find(({ account }) => account.unexplained !== undefined);
    if (work === undefined) return undefined;
    const what = work.account.unexplained?.unexplained;
    const message = `${this.#symbol}: ${what}: what it did to the position cannot be told, so the bot's account of it may be wrong; exits go by what the account and the exchange both show, the stop stays where it is; look after it at the exchange`;
    return { reason: "PositionUnknown", message };
  }

  get dust(): Refusal | undefined {
    const dust = this.#open.find((work) => work.dust !== undefined)?.dust;
    return dust && { reason: "Dust", message: dust.message };
  }

  /** What is to be closed, and is not while the exchange answers too late. */
  get exitWaits(): Refusal | undefined {
    const held = this.#open.filter(({ account }) => account.open.gt(0));
    const message = held.find((work) => work.exitWaits !== undefined)?.exitWaits;
    return message === undefined ? undefined : { reason: "ExitWaits", message };
  }

  get positions(): readonly HeldPosition[] {
    return this.#open.flatMap(({ held, account }) => (held && account.open.gt(0) ? [held] : []));
  }

  /** Result of what is not over, realised and unrealised. */
  get standing(): Amount {
    return [...this.#open, ...this.#settling]
      .filter(({ counts }) => counts)
      .map((work) => subtract(standingResult(work), work.counted))
      .reduce(add, ZERO_AMOUNT);
  }

  /** This process has sent entries. */
  get haveSent(): boolean {
    return this.#sent.size > 0;
  }

  isSent(entryId: string): boolean {
    return this.#sent.has(entryId);
  }

  /** What the journal remembers of the symbol, and this process does not. */
  takeUp(session: SessionAnswer): void {
    const all = [...this.#open, ...this.#settling, ...this.lost];
    const known = new Set(all.map((work) => work.entryId));
    const remembered = rememberedWork(session, this.#symbol, this.#deps.monotonicMs());
    // What is open there is not among the results that it has counted.
    for (const work of this.#open)
      work.counts ||= remembered.some(({ entryId }) => entryId === work.entryId);
    this.#open = [...this.#open, ...remembered.filter((work) => !known.has(work.entryId))];
  }

  /** What only the exchange knew; false when it is known. */
  adopt(orphan: Work): boolean {
    const isSame = ({ entryId }: Work) => entryId === orphan.entryId;
    if (this.#open.some(isSame)) return false;
    // It shows again after its rest counted as closed: its result is counted once.
    const rest = this.#restClosed;
    if (rest !== undefined && isSame(rest) && !this.#settling.some(isSame)) {
      orphan.counts = rest.counts;
      orphan.counted = rest.account.result;
    }
    this.#settling = this.#settling.filter((work) => !isSame(work));
    const lost = this.lost.find(isSame);
    if (lost !== undefined) this.#lost.delete(lost);
    this.#open = [...this.#open, lost ?? orphan];
    return true;
  }

  /**
   * Lost ones of which something that works do not explain may be are looked at with the open ones once more: those whose id it
   * carries, and all when a position shows that was not there before, or not so large. What lasts brings no further looks. False: none.
   */
  reopenLost(unexplained: SymbolView | undefined): boolean {
    const held =
      unexplained?.held && `${unexplained.held.side} ${unexplained.held.quantity.toFixed()}`;
    const isNew = held !== undefined && held !== this.#heldBesideLost;
    this.#heldBesideLost = this.#lost.size === 0 ? undefined : held;
    const seen = unexplained ? [...unexplained.orders, ...unexplained.executions] : [];
    const ids = new Set(seen.map(({ clientOrderId }) => clientOrderId));
    const meant = this.lost.filter(({ entryId }) => isNew || ids.has(entryId));
    for (const work of meant) this.#lost.delete(work);
    this.#open = [...this.#open, ...meant];
    return meant.length > 0;
  }

  /** An entry that is about to be sent, or was found. */
  add(work: Work): void {
    this.#open = [...this.#open, work];
    this.#sent.add(work.entryId);
    const [oldest] = this.#sent;
    if (this.#sent.size > SENT_MAX && oldest !== undefined) this.#sent.delete(oldest);
  }

  /** It was definitely refused. */
  remove(work: Work): void {
    this.#open = this.#open.filter((each) => each !== work);
  }

  /** Counts the time that positions without a stop stay so. */
  noteNaked(): void {
    for (const work of this.#open) {
      const held = heldOf(work);
      if (held !== undefined && held.stopLoss === undefined) seePosition(this.#deps, work, held);
    }
  }

  /** Says whether a state or a halt that came between two looks wants something closed at once. */
  wantExits(): boolean {
    const works = this.#open.filter((work) => (work.contradiction ?? work.dust) === undefined);
    for (const work of works) wantExitByState(this.#deps, work);
    return works.some((work) => work.exitWanted !== undefined && work.exit === undefined);
  }

  /** Brings each one step further. */
  async advance(): Promise<void> {
    const before = this.#otherAccount;
    this.#otherAccount = this.#deps.otherAccount();
    for (const work of this.#open) {
      this.#seeBeside(work);
      if (work.contradiction === before) work.contradiction = undefined;
      // What another account shows says nothing about the work, and nothing is sent there.
      if (this.#otherAccount !== undefined) work.contradiction = this.#otherAccount;
      else if (await advanceWork(this.#deps, work)) this.#close(work);
      else if (work.lost) this.#lose(work);
    }
  }

  #seeBeside(work: Work): void {
    work.isBesideOpen = this.#open.some(
      (other) => other !== work && other.side === work.side && other.account.open.gt(0),
    );
  }

  /** In one step: a result is counted either as open or as closed, never as both. */
  #close(work: Work): void {
    this.remove(work);
    if (work.account.closedMs !== undefined) this.#positionEnded(work);
    if (work.restClosed) this.#restClosed = work;
    if (work.toldClosed || work.account.entered.isZero()) this.#realise(work);
    else this.#settling = [...this.#settling, work];
  }

  #lose(work: Work): void {
    this.remove(work);
    this.#lost.set(work, this.#deps.monotonicMs() + LOST_LOOK_MS);
  }

  #realise(work: Work): void {
    if (work.counts) this.#deps.account.day.realise(subtract(work.account.result, work.counted));
  }

  /** Closed ones of which funding is to be looked for now. */
  get #unsettled(): readonly Work[] {
    const beforeMs = this.#deps.monotonicMs() - FUNDING_LOOK_AGAIN_MS;
    return this.#settling.filter(({ accountedMs }) => accountedMs <= beforeMs);
  }

  /** Lost ones that are to be looked for now. */
  get #missed(): readonly Work[] {
    const now = this.#deps.monotonicMs();
    return this.lost.filter((work) => (this.#lost.get(work) ?? Infinity) <= now);
  }

  /** Something that the exchange may show late is to be looked for. */
  get isLateDue(): boolean {
    return this.#unsettled.length + this.#missed.length > 0;
  }

  /** Looks for what the exchange may show late. One of which that fails comes after the others the next time. */
  async lookForLate(): Promise<void> {
    if (this.#deps.otherAccount() !== undefined) return;
    for (const work of this.#missed) await this.#lookForLost(work);
    await this.#lookForFunding();
  }

  async #lookForFunding(): Promise<void> {
    for (const work of this.#unsettled) {
      await accountForFills(this.#deps, work);
      if (work.account.open.isZero() && !work.toldClosed) continue;
      this.#settling = this.#settling.filter((each) => each !== work);
      if (work.toldClosed) this.#realise(work);
      else this.#open = [...this.#open, work];
    }
  }

  /** Its trade comes into the ledger, its position into care, however late the exchange shows them. */
  async #lookForLost(work: Work): Promise<void> {
    // Before the look: one that fails has its pause as well.
    this.#lose(work);
    this.#seeBeside(work);
    let isOver = false;
    try {
      isOver = await advanceWork(this.#deps, work);
    } finally {
      // Also when the look failed after it had shown the entry: that one waits for nothing.
      if (isOver || !work.lost) this.#lost.delete(work);
      if (!isOver && !work.lost) this.#open = [...this.#open, work];
    }
    if (isOver) this.#close(work);
  }
}
