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
    ...(await auditTrades(world)),
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
      .filter(({ status }) => status === "New" || status === "Untriggered")
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

/** Every fill of an entry began a position of its own. */
function isEnteredFlat({ account }: CaseWorld): boolean {
  let held = new Decimal(0);
  return account.executions.every(({ orderLinkId, side, quantity, closedQuantity }) => {
    const opens = new Decimal(closedQuantity).isZero();
    const isFlat = held.isZero();
    held = held.plus(side === "Buy" ? quantity : `-${quantity}`);
    return !opens || isFlat || orderLinkId === "";
  });
}

/** Every entry was intended, each candle has at most one, and no intent is left open. */
async function auditEntries(world: CaseWorld): Promise<readonly string[]> {
  const intents = await world.platform.query<{ id: string; candle: Date; isOpen: boolean }>(
    `select client_order_id as id, candle_open_time as candle, is_open as "isOpen"
       from intents where bot_id = $1`,
    world.bot,
  );
  const entries = entriesOf(world.account.orders);
  const candles = entries.map(({ orderLinkId }) => {
    return intents.find(({ id }) => id === orderLinkId)?.candle.toISOString();
  });
  return [
    ...entries
      .filter((_, index) => candles[index] === undefined)
      .map(({ orderLinkId }) => `entry ${orderLinkId} was never intended`),
    ...(new Set(candles).size === candles.length ? [] : ["two entries for one candle"]),
    ...intents.filter(({ isOpen }) => isOpen).map(({ id }) => `intent ${id} is left open`),
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
    const wanted = order.status === "Filled" ? "filled" : "cancelled";
    // What became of an exit follows from its fills.
    const words = order.reduceOnly ? [wanted, "accepted", "unknown"] : [wanted];
    if (!words.includes(row.status))
      return [`${name} is ${order.status} and in the journal ${row.status}`];
    return new Decimal(row.quantity).eq(order.quantity)
      ? []
      : [`${name} has ${order.quantity} and in the journal ${row.quantity}`];
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
  const executions = world.account.executions.map((execution) => ({
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

function exact({ price, quantity, fee }: Pick<FillRow, "price" | "quantity" | "fee">): string {
  return [price, quantity, fee].map((text) => new Decimal(text).toFixed()).join(" ");
}

interface TradeRow extends Readonly<Record<string, unknown>> {
  readonly id: string;
  readonly pnl: string | null;
  readonly fees: string;
  readonly quantity: string;
}

/** One closed trade for each entry, and their results are what the wallet has gained. */
async function auditTrades(world: CaseWorld): Promise<readonly string[]> {
  const trades = await world.platform.query<TradeRow>(
    "select id, pnl, fees, quantity from trades where bot_id = $1",
    world.bot,
  );
  const { orders, executions, wallet } = world.account;
  const filled = entriesOf(orders).filter(({ status }) => status === "Filled");
  const pnl = sum(trades.map((trade) => trade.pnl));
  const gained = new Decimal(wallet.balance).minus(wallet.initialBalance);
  const fees = sum(trades.map((trade) => trade.fees));
  const paid = sum(executions.map(({ fee }) => fee));
  return [
    ...(pnl.eq(gained)
      ? []
      : [`the wallet gained ${gained.toFixed()}, the trades ${pnl.toFixed()}`]),
    ...(fees.eq(paid) ? [] : [`fees paid ${paid.toFixed()}, in the trades ${fees.toFixed()}`]),
    ...(trades.length === filled.length
      ? []
      : [`${trades.length} trades for ${filled.length} filled entries`]),
    ...filled
      .filter(
        ({ orderLinkId, quantity }) =>
          !trades.some(
            (trade) => trade.id === orderLinkId && new Decimal(trade.quantity).eq(quantity),
          ),
      )
      .map(({ orderLinkId }) => `entry ${orderLinkId} has no trade of its size`),
  ];
}

/** Null, an open trade's result, makes the sum one that equals nothing. */
function sum(amounts: readonly (string | null)[]): Decimal {
  return amounts.reduce((total, each) => total.plus(each ?? "NaN"), new Decimal(0));
}
