import { Decimal, optionalText, text } from "../money.ts";
import { instrumentOf } from "../instruments.ts";
import {
  type Execution,
  type ExecutionType,
  isProtection,
  leavesQuantity,
  type Order,
  type StopOrderType,
} from "../order.ts";

/** How far from the last price Bybit puts the limit that it shows as the price of a market order. */
const MARKET_PRICE_COLLAR = new Decimal("0.03");

const createTypes: Readonly<Record<StopOrderType, string>> = {
  "": "CreateByUser",
  Stop: "CreateByStopOrder",
  StopLoss: "CreateByStopLoss",
  TakeProfit: "CreateByTakeProfit",
};

/** https://bybit-exchange.github.io/docs/v5/enum#createtype, for what no order of the user did. */
const executionCreateTypes: Readonly<Partial<Record<ExecutionType, string>>> = {
  Funding: "",
  BustTrade: "CreateByTakeOver_PassThrough",
  Delivery: "CreateBySettle",
};

/** An order as /v5/order/realtime and /v5/order/history show it. */
export function orderView(order: Order) {
  const { takeProfit, stopLoss } = order.protection;
  const conditional = order.trigger !== undefined;
  const leaves = leavesQuantity(order);
  return {
    orderId: order.id,
    orderLinkId: order.linkId,
    blockTradeId: "",
    symbol: order.symbol,
    price: text(shownPrice(order)),
    qty: text(order.quantity),
    side: order.side,
    isLeverage: "",
    positionIdx: 0,
    orderStatus: order.status,
    createType: createTypes[order.stopOrderType],
    cancelType: order.cancelType,
    rejectReason: order.rejectReason,
    avgPrice: averagePrice(order),
    leavesQty: text(leaves),
    leavesValue: text(leaves.times(order.price ?? order.trigger?.price ?? 0)),
    cumExecQty: text(order.filledQuantity),
    cumExecValue: text(order.filledValue),
    cumExecFee: text(order.fee),
    cumFeeDetail: order.filledQuantity.isZero() ? {} : { USDT: text(order.fee) },
    timeInForce: order.type === "Market" ? "IOC" : order.timeInForce,
    orderType: order.type,
    stopOrderType: order.stopOrderType,
    orderIv: "",
    triggerPrice: optionalText(order.trigger?.price),
    triggerDirection: triggerDirection(order),
    triggerBy: conditional ? "LastPrice" : "",
    takeProfit: optionalText(takeProfit),
    stopLoss: optionalText(stopLoss),
    tpTriggerBy: takeProfit === undefined ? "" : "LastPrice",
    slTriggerBy: stopLoss === undefined ? "" : "LastPrice",
    tpLimitPrice: "0",
    slLimitPrice: "0",
    tpslMode:
      isProtection(order) || takeProfit !== undefined || stopLoss !== undefined ? "Full" : "",
    ocoTriggerBy: "",
    lastPriceOnCreated: text(order.lastPriceOnCreated),
    reduceOnly: order.reduceOnly,
    closeOnTrigger: order.closeOnTrigger,
    placeType: "",
    smpType: "None",
    smpGroup: 0,
    smpOrderId: "",
    slippageToleranceType: "UNKNOWN",
    slippageTolerance: "0",
    extraFees: "",
    createdTime: `${order.createdMs}`,
    updatedTime: `${order.updatedMs}`,
  };
}

/** An execution as /v5/execution/list shows it. */
export function executionView(execution: Execution) {
  return {
    symbol: execution.symbol,
    orderId: execution.orderId,
    orderLinkId: execution.linkId,
    side: execution.side,
    orderType: execution.orderType,
    stopOrderType: execution.stopOrderType === "" ? "UNKNOWN" : execution.stopOrderType,
    orderPrice: text(execution.orderPrice ?? execution.price),
    orderQty: text(execution.orderQuantity),
    leavesQty: text(execution.leavesQuantity),
    createType: executionCreateTypes[execution.type] ?? createTypes[execution.stopOrderType],
    execId: execution.id,
    execTime: `${execution.timeMs}`,
    execType: execution.type,
    execPrice: text(execution.price),
    execQty: text(execution.quantity),
    execValue: text(execution.value),
    execFee: text(execution.fee),
    feeRate: text(execution.feeRate),
    feeCurrency: "",
    isMaker: execution.maker,
    closedSize: text(execution.closedQuantity),
    markPrice: text(execution.price),
    indexPrice: "",
    underlyingPrice: "",
    markIv: "",
    tradeIv: "",
    blockTradeId: "",
    extraFees: "",
    seq: execution.sequence,
  };
}

function shownPrice(order: Order): Decimal {
  if (order.price !== undefined) return order.price;
  // A stop or target has none until it trades.
  if (isProtection(order)) return new Decimal(0);
  const share =
    order.side === "Buy" ? MARKET_PRICE_COLLAR.plus(1) : MARKET_PRICE_COLLAR.negated().plus(1);
  return order.lastPriceOnCreated.times(share).toNearest(instrumentOf(order.symbol).tickSize);
}

function averagePrice(order: Order): string {
  if (order.filledQuantity.isZero()) return "";
  return text(order.filledValue.div(order.filledQuantity).toDecimalPlaces(8));
}

function triggerDirection(order: Order): 0 | 1 | 2 {
  if (order.trigger === undefined) return 0;
  return order.trigger.direction === "rising" ? 1 : 2;
}
