import { type Account, type AccountEvent, createAccount, isShown, ordersOf } from "./account.ts";
import { BybitError, RetCode } from "./bybit-error.ts";
import type { ServerClock } from "./clock.ts";
import { settleDelisting, type SymbolStatus } from "./delisting.ts";
import { type MarketEvent, processTick } from "./fill.ts";
import { isFundingTime, settleFunding } from "./funding.ts";
import { liquidate } from "./liquidation.ts";
import type { Market } from "./market.ts";
import { Decimal } from "./money.ts";
import { isActive, type Order } from "./order.ts";
import {
  changedSettings,
  defaultSettings,
  fillRuleFor,
  type Settings,
  type SettingsChange,
} from "./settings.ts";
import type { Trading } from "./trading.ts";

const MAX_ACCOUNTS = 10_000;
/** Numbers of made-up accounts begin here, to look like Bybit's user ids. */
const FIRST_USER_ID = 24_600_000;

/** Bybit's permission groups of a key, such as {"ContractTrade": ["Order", "Position"]}. */
type Permissions = Readonly<Record<string, readonly string[]>>;

export interface ApiKey {
  readonly apiKey: string;
  readonly apiSecret: string;
  readonly account: Account;
  readonly permissions: Permissions;
  readonly readOnly: boolean;
  /** Addresses that may use the key; "*" is any. */
  readonly ips: readonly string[];
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly revoked: boolean;
}

export interface KeyRegistration {
  readonly apiKey: string;
  readonly apiSecret: string;
  /** USDT, decimal string; what a new account starts with. */
  readonly balance: string;
  /** Joins the key to an account that exists or is made with this number; a new account for each key without it. */
  readonly userId?: number | undefined;
  readonly permissions?: Permissions | undefined;
  readonly readOnly?: boolean | undefined;
  readonly ips?: readonly string[] | undefined;
  readonly expiresMs?: number | undefined;
}

/** What a key may do unless told otherwise: trade contracts, and neither transfer nor withdraw. */
const tradeOnly: Permissions = {
  ContractTrade: ["Order", "Position"],
  Spot: [],
  Wallet: [],
  Options: [],
  Derivatives: ["DerivativesTrade"],
  CopyTrading: [],
  BlockTrade: [],
  Exchange: [],
  NFT: [],
  Affiliate: [],
};

/** Bybit ends keys without an address list after three months. */
const KEY_LIFETIME_MS = 90 * 86_400_000;

/** All accounts and keys, and the link between the market and their orders. */
export class Exchange {
  readonly market: Market;
  readonly clock: ServerClock;
  readonly trading: Trading;
  readonly #accounts = new Map<number, Account>();
  readonly #keys = new Map<string, ApiKey>();
  readonly #isStanding: () => boolean;
  readonly #onChange: (account: Account, event: AccountEvent) => void;
  readonly #symbolStatus = new Map<string, SymbolStatus>();
  #settings = defaultSettings;
  #restartedMs = -Infinity;
  #sequence = 0;

  /** `isStanding` tells whether no further price is to come, so that orders are filled at the last one. */
  constructor(parts: {
    readonly market: Market;
    readonly clock: ServerClock;
    /** A new order's or execution's id. */
    readonly newId: () => string;
    readonly isStanding: () => boolean;
    /** Hears every change of every account. */
    readonly onChange: (account: Account, event: AccountEvent) => void;
  }) {
    this.market = parts.market;
    this.clock = parts.clock;
    this.#isStanding = parts.isStanding;
    this.#onChange = parts.onChange;
    this.trading = {
      lastPrice: (symbol) => this.market.lastPrice(symbol),
      now: () => this.clock.now(),
      replayTime: () => this.market.replayTime(),
      newId: parts.newId,
      nextSequence: () => (this.#sequence += 1),
      settings: () => this.#settings,
    };
  }

  /** Adds a key, or changes what a known key may do; its account and balance stay as they are. */
  registerKey(registration: KeyRegistration): ApiKey {
    const known = this.#keys.get(registration.apiKey);
    const nowMs = this.clock.now();
    const key: ApiKey = {
      apiKey: registration.apiKey,
      apiSecret: registration.apiSecret,
      account: known?.account ?? this.#accountFor(registration),
      permissions: { ...tradeOnly, ...registration.permissions },
      readOnly: registration.readOnly ?? false,
      ips: registration.ips ?? ["*"],
      createdMs: nowMs,
      expiresMs: registration.expiresMs ?? nowMs + KEY_LIFETIME_MS,
      revoked: false,
    };
    this.#keys.set(key.apiKey, key);
    return key;
  }

  /** Makes the exchange refuse a key from now on; its account, orders and positions live on. */
  revokeKey(apiKey: string): boolean {
    const key = this.#keys.get(apiKey);
    if (key === undefined) return false;
    this.#keys.set(apiKey, { ...key, revoked: true });
    return true;
  }

  settings(): Settings {
    return this.#settings;
  }

  /** Changes what is given; throws a ZodError for what makes no sense. */
  changeSettings(change: SettingsChange): void {
    const wasDown = this.#settings.maintenance;
    this.#settings = changedSettings(this.#settings, change);
    if (wasDown && !this.#settings.maintenance) this.#restartedMs = this.clock.now();
  }

  /** When maintenance last ended, server time. */
  get restartedMs(): number {
    return this.#restartedMs;
  }

  findKey(apiKey: string): ApiKey | undefined {
    return this.#keys.get(apiKey);
  }

  /** Lets one price or range act on orders and positions. */
  onTick(event: MarketEvent): void {
    if (this.#settings.maintenance) return;
    for (const account of this.#accounts.values()) this.#serve(account, event);
  }

  #serve(account: Account, event: MarketEvent): void {
    const { liquidation } = this.#settings;
    if (liquidation) liquidate(account, { event, sparesStopped: true }, this.trading);
    processTick(account, event, this.trading);
    if (liquidation) liquidate(account, { event, sparesStopped: false }, this.trading);
  }

  symbolStatus(symbol: string): SymbolStatus {
    return this.#symbolStatus.get(symbol) ?? "Trading";
  }

  /** Announces the end of a symbol, ends it (its orders are cancelled and its positions settled), or lists it again. */
  setSymbolStatus(symbol: string, status: SymbolStatus): void {
    if (!this.market.has(symbol)) throw new Error(`the simulator does not replay ${symbol}`);
    this.#symbolStatus.set(symbol, status);
    if (status !== "Closed") return;
    for (const account of this.#accounts.values()) settleDelisting(account, symbol, this.trading);
  }

  /** To be called after an order came or changed: a market that stands still, or fills at once, fills it at its last price. */
  settle(account: Account): void {
    const { maintenance, fillsAtOnce } = this.#settings;
    if (maintenance || !(fillsAtOnce || this.#isStanding())) return;
    for (const symbol of this.market.symbols) {
      const tick = { kind: "price", price: this.market.lastPrice(symbol) } as const;
      const orders = () => ordersOf(account, symbol);
      const isMet = orders().some((order) => isActive(order) && !order.resting);
      if (!isMet && !this.#isStanding()) continue;
      // Ends: every round fills a part of an order, and orders have few. A market that goes on fills the others at its next prices.
      do this.#serve(account, { symbol, tick });
      while (this.#isStanding() && orders().some(isFilling));
    }
  }

  /** To be called as a recorded candle opens, before its price acts on orders. */
  onOpen(): void {
    if (!isFundingTime(this.market.replayTime())) return;
    for (const account of this.#accounts.values()) {
      for (const symbol of this.market.symbols) settleFunding(account, symbol, this.trading);
    }
  }

  settleAll(): void {
    for (const account of this.#accounts.values()) this.settle(account);
  }

  #accountFor(registration: KeyRegistration): Account {
    const userId = registration.userId ?? FIRST_USER_ID + this.#accounts.size;
    const known = registration.userId === undefined ? undefined : this.#accounts.get(userId);
    if (known !== undefined) return known;
    if (this.#accounts.has(userId)) throw new Error(`user ${userId} exists already`);
    if (this.#accounts.size >= MAX_ACCOUNTS) throw new Error(`at most ${MAX_ACCOUNTS} accounts`);
    const account: Account = createAccount(userId, new Decimal(registration.balance), (event) =>
      this.#onChange(account, event),
    );
    this.#accounts.set(userId, account);
    return account;
  }
}

/** Filled in part and neither resting nor over: the next price fills more of it. */
function isFilling(order: Order): boolean {
  return order.status === "PartiallyFilled" && !order.resting;
}

interface OrderName {
  readonly symbol: string;
  readonly orderId?: string | undefined;
  readonly orderLinkId?: string | undefined;
  readonly action: "cancel" | "replace";
}

/** The open order that Bybit's parameters name, by orderId or orderLinkId; refuses what is unknown, over or hidden. */
export function openOrderNamed(
  account: Account,
  name: OrderName,
  exchange: Pick<Exchange, "clock" | "settings">,
): Order {
  const order = ordersOf(account, name.symbol).find((candidate) =>
    name.orderId === undefined
      ? candidate.linkId !== "" && candidate.linkId === name.orderLinkId
      : candidate.id === name.orderId,
  );
  // A market order is over as soon as it is taken: that the simulator fills it at the next price makes no difference.
  const isInBook = order?.type === "Limit" || order?.status === "Untriggered";
  const mayWait = order !== undefined && name.action === "cancel" && isFilling(order);
  const waits = mayWait && fillRuleFor(exchange.settings(), order, account.userId).rest === "waits";
  if (
    order !== undefined &&
    (isInBook || waits) &&
    isShown(account, order.id, exchange.clock.now())
  )
    return order;
  throw new BybitError(RetCode.orderNotFound, `order not exists or too late to ${name.action}`);
}
