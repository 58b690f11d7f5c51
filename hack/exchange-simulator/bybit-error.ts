/**
 * The refusals that the simulator knows, by Bybit's `retCode` (https://bybit-exchange.github.io/docs/v5/error).
 * Messages follow what the exchange sends where that is publicly seen.
 */
export const RetCode = {
  ok: 0,
  invalidParameter: 10001,
  outsideReceiveWindow: 10002,
  invalidKey: 10003,
  invalidSignature: 10004,
  permissionDenied: 10005,
  tooManyVisits: 10006,
  addressNotAllowed: 10010,
  serverError: 10016,
  delisting: 30228,
  keyExpired: 33004,
  notModified: 34040,
  orderNotFound: 110001,
  insufficientBalance: 110007,
  tooManyConditionalOrders: 110009,
  leverageAboveRiskLimit: 110013,
  reduceOnlyNotSatisfied: 110017,
  tooManyActiveOrders: 110020,
  positionBlocksModeSwitch: 110024,
  positionModeNotModified: 110025,
  ordersBlockModeSwitch: 110028,
  leverageNotModified: 110043,
  insufficientMargin: 110044,
  protectionOfPartlyFilled: 110059,
  quantityBelowFilled: 110064,
  duplicateOrderLinkId: 110072,
  contractNotLive: 110074,
  triggerMustRise: 110092,
  triggerMustFall: 110093,
  belowMinimumValue: 110094,
} as const;
export type RetCode = (typeof RetCode)[keyof typeof RetCode];

/** A refusal that the caller reads as `retCode` and `retMsg`; anything else that is thrown is a fault of the simulator. */
export class BybitError extends Error {
  override readonly name = "BybitError";
  readonly retCode: RetCode;

  constructor(retCode: RetCode, message: string) {
    super(message);
    this.retCode = retCode;
  }
}
