// violation.ts: a promise of the service that a run found broken. Ends the run.

export class Violation extends Error {
  /** Which promise: the same for the same kind of fault, so that shrinking knows whether it is still the same one. */
  readonly rule: string;

  constructor(rule: string, message: string) {
    super(`${rule}: ${message}`);
    this.rule = rule;
  }
}

export function expectRule(holds: boolean, rule: string, message: () => string): void {
  if (!holds) throw new Violation(rule, message());
}
