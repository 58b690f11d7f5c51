export * from "./names.ts";
export { capability } from "./capabilities.ts";
export { LEAST_MAINTENANCE_PERCENT, LIQUIDATION_SHARE } from "./farthest-stop.ts";
export {
  BotState,
  Condition,
  DecimalString,
  DnsLabel,
  Exchange,
  HaltAction,
  Mode,
  MarketSymbol,
  Timeframe,
  Timestamp,
  UserId,
} from "./fields.ts";
export { ObjectMeta } from "./kind.ts";
export {
  isStrategyName,
  RsiParams,
  STRATEGIES,
  type StrategyName,
  StrategyParam,
} from "./strategies.ts";
export { Risk, Strategy } from "./risk.ts";
export { TradingBot } from "./trading-bot.ts";
export {
  BotRequest,
  RequestAction,
  RequestId,
  REQUESTS_MAX,
  RequestStatus,
} from "./bot-request.ts";
export { ExchangeAccount, VerificationResult } from "./exchange-account.ts";
export {
  BotClass,
  type Ceilings,
  type EndpointOverride,
  type PodTemplate,
  type RolloutStatus,
  SLOTS,
} from "./bot-class.ts";
export { haltConcerns, isHaltInForce } from "./halt-scope.ts";
export { TradingHalt } from "./trading-halt.ts";
export { BotConfig, BotTermination, Credentials, VerifyConfig } from "./bot-config.ts";
export {
  ClientOrderId,
  Intent,
  IntentAnswer,
  IntentRequest,
  JOURNAL_BATCH_MAX,
  LeaseAnswer,
  LeaseLeft,
  LeaseReleaseAnswer,
  LeaseRequest,
  RecordAnswer,
  RequestResult,
  REQUESTS_REMEMBERED,
  SessionAnswer,
  Side,
  Trade,
} from "./journal.ts";
export {
  JournalRecord,
  Position,
  RecordBatch,
  type RecordBody,
  Report,
  BotReportLine,
  ReportLine,
} from "./journal-records.ts";
export { customResourceDefinition, openApiV3Schema } from "./manifest.ts";
