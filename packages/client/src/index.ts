// index.ts: the public surface of @forelock/client.
export type { EndSessionOptions, ForceReleaseOptions, ForelockClient, Held } from "./client.ts";
export { connect } from "./connect.ts";
export type { Election, ElectOptions, Term } from "./elect/election.ts";
export type { ErrorCode, ErrorSpec, ForelockErrorOptions, GrpcStatusName, Retry } from "./errors.ts";
export { ERROR_CODES, ERRORS, ForelockError, isErrorCode } from "./errors.ts";
export type {
  Appended,
  AppendGuard,
  AppendOptions,
  FileBytes,
  FileInfo,
  FileList,
  GuardedFile,
  ReadOptions,
} from "./file/file.ts";
export type { TokenGuard, TokenGuardOptions } from "./guard/guard.ts";
export { tokenGuard } from "./guard/guard.ts";
export type {
  ChangeClusterOptions,
  ClusterChange,
  ClusterMove,
  ClusterNode,
  ClusterOptions,
  ClusterPartition,
  ClusterReport,
  ClusterStandby,
  EtcdInfo,
  EtcdMember,
} from "./inspect/cluster.ts";
export type {
  LockInfo,
  LockList,
  ServerStatus,
  SessionInfo,
  SessionList,
  Waiter,
  Why,
} from "./inspect/inspect.ts";
export type {
  Calibration,
  ClientProfile,
  Decision,
  Distribution,
  Eta,
  History,
  HistoryEntry,
  HistoryOptions,
  HoldForecast,
  Policies,
  PolicyField,
  PolicyInfo,
  Prediction,
  PredictionOptions,
  PredictionTotals,
  Profile,
  Risk,
  RiskPart,
  SetPolicyOptions,
  WarnOptions,
} from "./inspect/prediction.ts";
export type {
  Compensation,
  Lock,
  LockAllOptions,
  LockMode,
  LockOptions,
  LockSet,
  LockTarget,
  PermitOptions,
  PreemptionOptions,
  Released,
  ReleaseOptions,
  RequestOptions,
  Semaphore,
  SemaphoreOptions,
  WaitOptions,
  WarningOptions,
} from "./lock/lock.ts";
export type {
  EnqueueOptions,
  Holder,
  Operation,
  OperationState,
  OperationStatus,
  Progress,
  RemoteOperation,
} from "./lock/operation.ts";
export type { ConnectOptions, HealthWord, RetryOptions, SavedSession, TlsOptions } from "./options.ts";
export type { Extension, OnWarning, Warning } from "./warning/warning.ts";
export type { WatchEvent } from "./watch/watch.ts";
export type { WebLock, WebLockCallback, WebLockOptions, WebLockState, WebLocks } from "./web-locks/web-locks.ts";
