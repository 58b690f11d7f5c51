import { isOrderId } from "../../src/orders/order-id.ts";
import { Decimal } from "../../src/money.ts";
import type { CaseWorld } from "./case-world.ts";

type Orders = CaseWorld["account"]["orders"];

/**
 * Compares the exchange's account with the journal, to the last decimal. `entryCounts` says how many entries may be at the
 * exchange. Gives back what is wrong as sentences; none when the case ended as it must.
 */
export async function audit(
  world: CaseWorld,
  entryCounts: readonly number[],
): Promise<readonly string[]> {
  return [
    ...auditExchange(world, entryCounts),
    ...(await auditEntries(world)),
    ...(await auditOrders(world)),
    ...(await auditFills(world)),
    ...(await auditFunding(world)),
    ...(await auditTrades(world)),
    ...(await auditRequests(world)),
    ...auditCancelled(world),
  ];
}

const ownOrders = (orders: Orders) => orders.filter(({ orderLinkId }) => orderLinkId !== "");
const entriesOf = (orders: Orders) => ownOrders(orders).filter(({ reduceOnly }) => !reduceOnly);

function auditExchange(world: CaseWorld, entryCounts: readonly number[]): readonly string[] {
  const { orders, positions } = world.account;
  const own = ownOrders(orders);
  const entries = entriesOf(orders);
  const exits = own.filter(({ reduceOnly, status }) => reduceOnly && status === "Filled");
  return [
    ...(world.unprotectedMs > 0
      ? [`a position was without a stop for ${world.unprotectedMs.toFixed(0)} ms`]
      : []),
    ...positions.map(({ size }) => `a position of ${size} is left`),
    ...orders
      .filter(({ status }) => ["New", "PartiallyFilled", "Untriggered"].includes(status))
      .map(({ orderId, stopOrderType }) => `order ${orderId} ${stopOrderType} is left`),
    ...own
      .filter(({ orderLinkId }) => !isOrderId(orderLinkId))
      .map(({ orderLinkId }) => `${orderLinkId} is no order id of a bot`),
    ...(new Set(own.map(({ orderLinkId }) => orderLinkId)).size === own.length
      ? []
      : ["an order id is there twice"]),
    ...(entryCounts.includes(entries.length)
      ? []
      : [`${entries.length} entries at the exchange instead of ${entryCounts.join(" or ")}`]),
    ...(isEnteredFlat(world) ? [] : ["an entry was filled while a position was open"]),
    ...(exits.length <= entries.length
      ? []
      : [`${exits.length} exits for ${entries.length} entries`]),
  ];
}

/** Every entry began a position of its own; what follows of it in parts belongs to it. */
function isEnteredFlat({ account }: CaseWorld): boolean {
  const symbols = Object.values(Object.groupBy(tradesOf(account), ({ symbol }) => symbol));
  return symbols.every((executions = []) => {
    let held = new Decimal(0);
    let heldBy = "";
    return executions.every(({ orderLinkId, side, quantity, closedQuantity }) => {
      const opens = new Decimal(closedQuantity).isZero();
      const isAlone = held.isZero() || heldBy === orderLinkId;
      if (opens) heldBy = orderLinkId;
      held = held.plus(side === "Buy" ? quantity : `-${quantity}`);
      return !opens || isAlone || orderLinkId === "";
    });
  });
}

/** Executions that moved a position: all but funding. */
const tradesOf = ({ executions }: CaseWorld["account"]) =>
  executions.filter(({ type }) => type !== "Funding");
const fundingOf = ({ executions }: CaseWorld["account"]) =>
  executions.filter(({ type }) => type === "Funding");

const isNowhere = ({ account }: CaseWorld, id: string) =>
  account.orders.every(({ orderLinkId }) => orderLinkId !== id);

/** Every entry was intended, each candle has at most one, and no intent is left open but of what the exchange never had. */
async function auditEntries(world: CaseWorld): Promise<readonly string[]> {
  const intents = await world.platform.query<{ id: string; candle: string; isOpen: boolean }>(
    `select client_order_id as id, symbol || ' ' || candle_open_time as candle, is_open as "isOpen"
       from intents where bot_id = $1`,
    world.bot,
  );
  const lost = await world.lostEntries();
  const entries = entriesOf(world.account.orders);
  const candles = entries.map(({ orderLinkId }) => {
    return intents.find(({ id }) => id === orderLinkId)?.candle;
  });
  return [
    ...entries
      .filter((_, index) => candles[index] === undefined)
      .map(({ orderLinkId }) => `entry ${orderLinkId} was never intended`),
    ...(new Set(candles).size === candles.length ? [] : ["two entries for one candle"]),
    ...intents
      .filter(({ id, isOpen }) => isOpen && !(lost.has(id) && isNowhere(world, id)))
      .map(({ id }) => `intent ${id} is left open`),
  ];
}

/** The journal's last word about each order of the bot is the exchange's. */
async function auditOrders(world: CaseWorld): Promise<readonly string[]> {
  const rows = await world.platform.query<{ id: string; status: string; quantity: string }>(
    `select distinct on (client_order_id) client_order_id as id, status, quantity
       from orders where bot_id = $1
      order by client_order_id, status in ('filled', 'cancelled', 'refused') desc, epoch desc, sequence desc`,
    world.bot,
  );
  return ownOrders(world.account.orders).flatMap((order) => {
    const row = rows.find(({ id }) => id === order.orderLinkId);
    const leg = order.reduceOnly ? "exit" : "entry";
    const name = `${leg} ${order.orderLinkId}`;
    if (row === undefined) return [`the journal has no order record of ${name}`];
    const filled = new Decimal(order.filledQuantity);
    // Also one that was cancelled after a part.
    const isFilled = filled.gt(0);
    const wanted = isFilled ? "filled" : "cancelled";
    const words = order.reduceOnly ? [wanted, "accepted", "unknown"] : [wanted];
    if (!words.includes(row.status))
      return [`${name} is ${order.status} and in the journal ${row.status}`];
    const units = row.status === "filled" ? filled : order.quantity;
    return new Decimal(row.quantity).eq(units)
      ? []
      : [`${name} has ${units.toString()} and in the journal ${row.quantity}`];
  });
}

interface FillRow extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly price: string;
  readonly quantity: string;
  readonly fee: string;
  readonly side: string;
}

async function auditFills(world: CaseWorld): Promise<readonly string[]> {
  const fills = await world.platform.query<FillRow>(
    "select execution_id as id, price, quantity, fee, side from fills where bot_id = $1",
    world.bot,
  );
  const executions = tradesOf(world.account).map((execution) => ({
    ...execution,
    id: execution.executionId,
    side: execution.side.toLowerCase(),
  }));
  const texts = (rows: readonly FillRow[]) =>
    new Set(rows.map(({ id, side, ...amounts }) => `${id} ${side} ${exact(amounts)}`));
  const exchange = texts(executions);
  const journal = texts(fills);
  return [
    ...[...exchange.difference(journal)].map((text) => `fill missing in the journal: ${text}`),
    ...[...journal.difference(exchange)].map((text) => `fill unknown to the exchange: ${text}`),
  ];
}

async function auditFunding(world: CaseWorld): Promise<readonly string[]> {
  const rows = await world.platform.query<{ id: string; amount: string }>(
    "select execution_id as id, amount from funding where bot_id = $1",
    world.bot,
  );
  const journal = new Set(rows.map(({ id, amount }) => `${id} ${new Decimal(amount).toFixed()}`));
  // Paid at the exchange is negative in the journal.
  const exchange = new Set(
    fundingOf(world.account).map(
      ({ executionId, fee }) => `${executionId} ${new Decimal(fee).negated().toFixed()}`,
    ),
  );
  return [
    ...[...exchange.difference(journal)].map((text) => `funding missing in the journal: ${text}`),
    ...[...journal.difference(exchange)].map((text) => `funding unknown to the exchange: ${text}`),
  ];
}

function exact({ price, quantity, fee }: Pick<FillRow, "price" | "quantity" | "fee">): string {
  return [price, quantity, fee].map((text) => new Decimal(text).toFixed()).join(" ");
}

interface TradeRow extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly pnl: string | null;
  readonly fees: string;
  readonly funding: string;
  readonly quantity: string;
}

/** One closed trade for each entry, and their results are what the wallet has gained. */
async function auditTrades(world: CaseWorld): Promise<readonly string[]> {
  const trades = await world.platform.query<TradeRow>(
    "select id, pnl, fees, funding, quantity from trades where bot_id = $1",
    world.bot,
  );
  const { orders, wallet } = world.account;
  const filled = entriesOf(orders).filter(({ filledQuantity }) =>
    new Decimal(filledQuantity).gt(0),
  );
  const pnl = sum(trades.map((trade) => trade.pnl));
  const gained = new Decimal(wallet.balance).minus(wallet.initialBalance);
  const fees = sum(trades.map((trade) => trade.fees));
  const paid = sum(tradesOf(world.account).map(({ fee }) => fee));
  const funding = sum(trades.map((trade) => trade.funding));
  const received = sum(fundingOf(world.account).map(({ fee }) => fee)).negated();
  return [
    ...(pnl.eq(gained)
      ? []
      : [`the wallet gained ${gained.toFixed()}, the trades ${pnl.toFixed()}`]),
    ...(fees.eq(paid) ? [] : [`fees paid ${paid.toFixed()}, in the trades ${fees.toFixed()}`]),
    ...(funding.eq(received)
      ? []
      : [`funding received ${received.toFixed()}, in the trades ${funding.toFixed()}`]),
    ...(trades.length === filled.length
      ? []
      : [`${trades.length} trades for ${filled.length} filled entries`]),
    ...filled
      .filter(
        ({ orderLinkId, filledQuantity }) =>
          !trades.some(
            (trade) => trade.id === orderLinkId && new Decimal(trade.quantity).eq(filledQuantity),
          ),
      )
      .map(({ orderLinkId }) => `entry ${orderLinkId} has no trade of its size`),
  ];
}

const NOT_ANSWERED = "not answered";

/** Each was answered once and as the exchange has it; a closing and a cancellation are always done in the end. */
async function auditRequests(world: CaseWorld): Promise<readonly string[]> {
  const [answers, lost] = await Promise.all([world.answers(), world.lostEntries()]);
  return world.asked.flatMap((request) => {
    const { id, action } = request;
    const status = answers.get(id) ?? NOT_ANSWERED;
    const order = world.account.orders.find(
      ({ orderLinkId }) => orderLinkId === world.entryIdOf(request),
    );
    const isDone = action !== "Order" || order?.status === "Filled";
    const isWaiting =
      ["begun", NOT_ANSWERED].includes(status) && lost.has(world.entryIdOf(request));
    const isRefused = status === "refused" || status === "expired" || isWaiting;
    const isTold = isDone ? status === "done" : isRefused;
    const found = order === undefined ? "no order" : `an order that is ${order.status}`;
    return isTold ? [] : [`${action} ${id} is ${status}, and there is ${found} of it`];
  });
}

/** Where cancelling was asked for, each entry had its first part by then, and never gets the rest. */
function auditCancelled({ account, asked }: CaseWorld): readonly string[] {
  if (asked.every(({ action }) => action !== "CancelOrders")) return [];
  return entriesOf(account.orders)
    .filter(({ status }) => status !== "Cancelled")
    .map(({ orderLinkId, status }) => `entry ${orderLinkId} was to be cancelled and is ${status}`);
}

/** Null, an open trade's result, makes the sum one that equals nothing. */
function sum(amounts: readonly (string | null)[]): Decimal {
  return amounts.reduce((total, each) => total.plus(each ?? "NaN"), new Decimal(0));
}
